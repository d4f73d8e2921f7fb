"""The page's style. Knows no tab."""

import gradio as gr

FONTS = ["system-ui", "sans-serif"]  # of the visitor's system: none is fetched
MONO = ["ui-monospace", "monospace"]
CSS = """
header h1 { font-size: 1.5em; font-weight: 700; margin: 0 0 4px; }
header p { margin: 0 0 4px; }
.model-line { color: #52525b; font-size: 0.9em; }
.dark .model-line { color: #d4d4d8; }
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
.gradio-container img { image-rendering: pixelated; }
button[aria-label="Share"] { display: none; }  /* it would upload the image to another host */
:focus-visible { outline: 2px solid #2563eb; outline-offset: 1px; }
@media (max-width: 480px) {
  .gradio-container main.app { padding: 12px !important; }
  .tab-container button { padding: 0 9px !important; }
  .cell-fields { flex-wrap: nowrap; }
}
"""


def theme() -> gr.themes.Base:
    """The colours and fonts."""
    return gr.themes.Default(font=FONTS, font_mono=MONO, primary_hue="blue")
