"""The page: its tabs, its style, and the server that shows it. Knows a model's public calls alone."""

import html

import gradio as gr

from unitok.api.unitok import UniTok
from unitok.page.history import add_history
from unitok.page.settings import keep_in_address, outputs_of, restored
from unitok.page.style import CSS, SCRIPT, theme
from unitok.page.tab import Site, Tab, connect
from unitok.page.tabs import chat, describe, draw, edit, tokens

TABS = {"Draw": draw, "Describe": describe, "Chat": chat, "Edit": edit, "Tokens": tokens}
TAKERS = ("Describe", "Edit", "Chat", "Tokens")
"""Tabs that take an image from others."""


def build(model: UniTok, name: str = "unitok", *, examples: bool = False) -> gr.Blocks:
    """Build the page of a model, with drawings as `examples`; a tab whose tasks it never learned says so."""
    unlearned = {tab: line for tab, module in TABS.items() if (line := model.unlearned(*module.TASKS))}
    drawings = draw.draw_examples(model) if examples and "Draw" not in unlearned else ()
    site = Site(model, takers=tuple(tab for tab in TAKERS if tab not in unlearned), drawings=drawings)
    built: dict[str, Tab] = {}
    with gr.Blocks(title=f"unitok: {name}", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.HTML(header(model, name), container=False, padding=False)
        with gr.Tabs() as tabs:
            for tab, module in TABS.items():
                with gr.Tab(tab, id=tab.lower()):
                    if tab in unlearned:
                        line = unlearned[tab]
                        gr.Markdown(f"{line[:1].upper()}{line[1:]}.")
                    else:
                        built[tab] = module.add_tab(site)
        source, status = add_history(site, page, tabs, built)
        takers = {tab: built[tab].taker for tab in site.takers}
        connect(tabs, source, status, takers)
        for tab, one in built.items():
            connect(tabs, one.source, one.status, takers)
            keep_in_address(tab, one)
        page.load(_restore_address(built), None, outputs_of(tabs, built), show_progress="hidden",
                  api_visibility="private")  # fmt: skip
    return page


def header(model: UniTok, name: str) -> str:
    """The title, what can be done here, and the model: its name, its size, its tasks."""
    modality, parameters = model.codec.image, sum(weight.numel() for weight in model.model.parameters())
    cell = modality.tokenizer.cell
    rows, columns = modality.largest_shape
    size = f"{'' if modality.shape else 'up to '}{columns * cell} × {rows * cell} pixels"
    tasks = "tasks not recorded" if model.tasks is None else ", ".join(task.name for task in model.tasks)
    facts = [f"{_amount(parameters)} parameters", f"pictures of {size}", f"learned: {tasks or 'nothing'}"]
    return (
        "<header><h1>unitok</h1><p>Draw pictures from words, ask about pictures, change them, and look at "
        "the tokens in between: one model reads and writes them all.</p>"
        f'<p class="model-line"><strong>{html.escape(name)}</strong> · '
        f"{html.escape(' · '.join(facts))}</p></header>"
    )


def _amount(number: int) -> str:
    """A large number as people say it."""
    for size, word in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return str(number)


def _restore_address(built: dict[str, Tab]):
    def restore(request: gr.Request) -> list:
        return restored(built, dict(request.query_params))

    return restore


def serve(
    model: UniTok,
    *,
    name: str = "unitok",
    examples: bool = False,
    port: int = 7860,
    browser: bool = False,
    block: bool = True,
) -> str:
    """Serve the page of a model on 127.0.0.1, for this machine alone; return its address.

    Args:
        model: the model.
        name: what the page calls it.
        examples: draw the example prompts first, for the visitor to see.
        port: port of the server; 0 takes a free one.
        browser: also open the page in the default browser.
        block: return only when the server is stopped.

    Raises:
        OSError: the port is in use.
    """
    page = build(model, name, examples=examples)
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
        theme=theme(),
        css=CSS,
        js=SCRIPT,
    )
    if block:
        print(f"{address}  (Ctrl-C stops it)", flush=True)
        page.block_thread()
    return address
