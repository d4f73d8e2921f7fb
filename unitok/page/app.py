"""The page: its tabs, its style, and the server that shows it. Knows a model's public calls alone."""

import gradio as gr

from unitok.api.unitok import UniTok
from unitok.page import chat, describe, draw, edit, tokens

TABS = {"Draw": draw, "Describe": describe, "Chat": chat, "Edit": edit, "Tokens": tokens}
FONTS = ["system-ui", "sans-serif"]  # the reader's own: nothing is fetched
MONO = ["ui-monospace", "monospace"]
CSS = """
.told { margin: 4px 2px; min-height: 1.5em; }
.told.bad { color: #b3261e; font-weight: 600; }
.dark .told.bad { color: #ffb4ab; }
.choices { gap: 6px; flex-wrap: wrap; }
.choices button { flex: 0 1 auto; min-width: 0; width: auto; white-space: normal; font-weight: 400; }
.pictures, .pictures .grid-wrap { height: auto !important; max-height: none !important; min-height: 120px; }
.gradio-container img { image-rendering: pixelated; }
button[aria-label="Share"] { display: none; }  /* would send a picture to another host */
:focus-visible { outline: 2px solid #2563eb; outline-offset: 1px; }
@media (max-width: 480px) {
  .gradio-container main.app { padding: 12px !important; }
  .tab-container button { padding: 0 9px !important; }
}
"""


def build(model: UniTok) -> gr.Blocks:
    """The page of a model, not yet shown."""
    with gr.Blocks(title="unitok", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.Markdown("# unitok\nOne model that reads and writes text and pictures as one stream of tokens.")
        with gr.Tabs():
            for name, module in TABS.items():
                with gr.Tab(name, id=name.lower()):
                    module.tab(model)
    return page


def serve(model: UniTok, *, port: int = 7860, browser: bool = False, block: bool = True) -> str:
    """Show the page of a model on this machine alone (127.0.0.1); returns its address.

    Args:
        model: whose page.
        port: of the server; 0 takes a free one.
        browser: also open it in the default browser.
        block: come back only when the server is stopped.

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
