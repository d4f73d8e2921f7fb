"""The page's style, and the names that screen readers need where Gradio gives none. Knows no tab."""

import gradio as gr

FONTS = ["system-ui", "sans-serif"]  # of the visitor's system: none is fetched
MONO = ["ui-monospace", "monospace"]
CSS = """
header h1 { font-size: 1.5em; font-weight: 700; margin: 0 0 4px; }
header p { margin: 0 0 4px; }
.model-line { color: #52525b; font-size: 0.9em; }
.dark .model-line { color: #d4d4d8; }
.dark { --color-accent: #93c5fd; }
.status-line { margin: 4px 2px; min-height: 1.5em; }
.status-line.error { color: #b3261e; font-weight: 600; }
.dark .status-line.error { color: #ffb4ab; }
.example-buttons, .send-buttons { gap: 6px; flex-wrap: wrap; align-items: center; }
.example-buttons button, .send-buttons button {
  flex: 0 1 auto; min-width: 0 !important; width: auto; white-space: normal; font-weight: 400;
}
.send-buttons > :first-child { flex: 0 0 auto; min-width: 0 !important; width: auto; }
.image-gallery, .image-gallery .grid-wrap {
  height: auto !important; max-height: none !important; min-height: 120px;
}
#history .grid-container { grid-template-columns: repeat(auto-fill, minmax(120px, 1fr)) !important; }
#history .gallery-container:has(.preview) { min-height: 320px; }
.gradio-container img { image-rendering: pixelated; }
button[aria-label="Share"] { display: none; }  /* it would upload the image to another host */
:focus-visible { outline: 2px solid #2563eb; outline-offset: 1px; }
@media (max-width: 480px) {
  .gradio-container main.app { padding: 12px !important; }
  .tab-container button { padding: 0 9px !important; }
  .cell-fields { flex-wrap: nowrap; }
}
"""


SCRIPT = """() => {
    const name = () => {
        for (const empty of document.querySelectorAll(".empty[aria-label]:not([role])"))
            empty.setAttribute("role", "img");
        const captioned = ".thumbnail-item:has(.caption-label) img:not([alt=''])";
        for (const image of document.querySelectorAll(captioned))
            image.alt = "";  // the caption beside it says the same
        for (const button of document.querySelectorAll(".image-container > button:not([aria-label])")) {
            const id = button.closest("[id$='-image']")?.id;
            button.setAttribute("aria-label", id?.replace("-", " ") ?? "image");
        }
    };
    new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
    name();
}"""


def theme() -> gr.themes.Base:
    """The colours, of a contrast of at least 4.5, and fonts."""
    return gr.themes.Default(font=FONTS, font_mono=MONO, primary_hue="blue").set(
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        body_text_color_subdued="*neutral_600",
        block_label_text_color="*neutral_600",
        block_title_text_color="*neutral_600",
        block_info_text_color="*neutral_600",
        input_placeholder_color="*neutral_500",
    )
