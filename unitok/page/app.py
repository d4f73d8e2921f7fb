"""The page: its tabs, its style, and the server that shows it. Knows a model's public calls alone."""

import gradio as gr

from unitok.api.unitok import UniTok
from unitok.page import chat, describe, draw, edit, tokens

TABS = {"Draw": draw, "Describe": describe, "Chat": chat, "Edit": edit, "Tokens": tokens}
FONTS = ["system-ui", "sans-serif"]  # of the visitor's system: none is fetched
MONO = ["ui-monospace", "monospace"]
CSS = """
.status-line { margin: 4px 2px; min-height: 1.5em; }
.status-line.error { color: #b3261e; font-weight: 600; }
.dark .status-line.error { color: #ffb4ab; }
.example-buttons { gap: 6px; flex-wrap: wrap; }
.example-buttons button { flex: 0 1 auto; min-width: 0; width: auto; white-space: normal; font-weight: 400; }
.image-gallery, .image-gallery .grid-wrap {
  height: auto !important; max-height: none !important; min-height: 120px;
}
.gradio-container img { image-rendering: pixelated; }
button[aria-label="Share"] { display: none; }  /* it would upload the image to another host */
:focus-visible { outline: 2px solid #2563eb; outline-offset: 1px; }
@media (max-width: 480px) {
  .gradio-container main.app { padding: 12px !important; }
  .tab-container button { padding: 0 9px !important; }
}
"""


def build(model: UniTok) -> gr.Blocks:
    """Build the page of a model, without the tabs whose tasks (`TASKS`) it never learned."""
    learned = ", ".join(task.name for task in model.tasks or ())
    line = f" This one learned: {learned}." if learned else ""
    with gr.Blocks(title="unitok", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.Markdown(
            f"# unitok\nOne model that reads and writes text and images as one stream of tokens.{line}"
        )
        with gr.Tabs():
            for name, module in TABS.items():
                if model.unlearned(*module.TASKS):
                    continue
                with gr.Tab(name, id=name.lower()):
                    module.add_tab(model)
    return page


def serve(model: UniTok, *, port: int = 7860, browser: bool = False, block: bool = True) -> str:
    """Serve the page of a model on 127.0.0.1, for this machine alone; return its address.

    Args:
        model: the model.
        port: port of the server; 0 takes a free one.
        browser: also open the page in the default browser.
        block: return only when the server is stopped.

    Raises:
        OSError: the port is in use.
    """
    page = build(model)
    theme = gr.themes.Default(font=FONTS, font_mono=MONO, primary_hue="blue")
    _, address, _ = page.launch(
        server_name="127.0.0.1",
        server_port=port or None,
        inbrowser=browser,
        share=False,
        ssr_mode=False,
        pwa=False,
        quiet=True,
        prevent_thread_lock=True,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        max_file_size="20mb",
        theme=theme,
        css=CSS,
    )
    if block:
        print(f"{address}  (Ctrl-C stops it)", flush=True)
        page.block_thread()
    return address
