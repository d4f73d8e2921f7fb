"""The history: what was drawn, with prompts, seeds and settings, kept in the visitor's browser."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import BytesIO
from typing import Any

import gradio as gr
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from unitok.api.unitok import UniTok
from unitok.page.model_view import own_size
from unitok.page.overlay import SIDE, enlarge
from unitok.page.served_images import KEY, add_gallery, made_from, serve_image
from unitok.page.settings import outputs_of, restored
from unitok.page.status import add_status, status_line
from unitok.page.tab import Site, Source, Tab, add_picked, add_send_buttons

MOST = 24
"""Images that are kept; a browser keeps a few megabytes a page."""
QUIETLY = {"show_progress": "hidden", "api_visibility": "private"}
Entries = list[str]
"""PNG files of the models' own size, with what they were made from, as base64; the latest first."""


def add_history(
    site: Site, page: gr.Blocks, tabs: gr.Tabs, all_tabs: Mapping[str, Tab]
) -> tuple[Source, gr.HTML]:
    """Add the history below the tabs; returns the image that is chosen in it, and its status line."""
    kept = gr.BrowserState([], storage_key="unitok-history", secret="unitok-history")
    title = "History: what you drew, kept in this browser"
    with gr.Accordion(title, open=True, visible=False, elem_id="history") as shown:
        gallery = add_gallery("History", columns=8)
        picked = add_picked(gallery)
        status = add_status("Choose a picture to see what it was made from.")
        with gr.Row(elem_classes="example-buttons"):
            again = gr.Button("Use its settings", size="sm")
            clear = gr.Button("Clear the history", size="sm")
        buttons = add_send_buttons(site)
    outputs = [kept, gallery, shown]
    for tab in all_tabs.values():
        for run in tab.runs if tab.results else ():
            run.then(partial(record, site.model), [kept, tab.results], outputs, **QUIETLY)
    page.load(show, kept, [gallery, shown], **QUIETLY)
    picked.change(describe, picked, status, **QUIETLY)
    clear.click(lambda: ([], [], gr.Accordion(visible=False)), None, outputs, **QUIETLY)
    again.click(_restoring(all_tabs), picked, [status, *outputs_of(tabs, all_tabs)], **QUIETLY)
    return Source(picked, lambda path: path, buttons), status


def record(model: UniTok, kept: Entries, images: Sequence[tuple[str, str | None]] | None) -> tuple:
    """Put finished images before the others: the entries, the gallery, and whether the history is shown."""
    new = [_pack(model, path) for path, _ in images or () if made_from(path)]
    kept = [*dict.fromkeys([*reversed(new), *kept])][:MOST]
    return kept, *show(kept)


def show(kept: Entries) -> tuple[list[tuple[str, str]], Any]:
    """The gallery of the entries, each with its prompt and seed, and whether it is shown."""
    shown = [one for entry in kept if (one := _unpack(entry))]
    return shown, gr.Accordion(visible=bool(shown))


def describe(path: str | None) -> str:
    """The status line that says what an image was made from."""
    made = made_from(path) if path else {}
    words = [f"{name.replace('_', ' ')}: {value}" for name, value in made.items() if value not in ("", None)]
    return status_line(" · ".join(words))


def _restoring(all_tabs: Mapping[str, Tab]) -> Callable[[str | None], list]:
    def restore(path: str | None) -> list:
        error = "" if path else status_line("Choose a picture of the history first.", error=True)
        return [error or gr.skip(), *restored(all_tabs, made_from(path) if path else {})]

    return restore


def _pack(model: UniTok, path: str) -> str:
    """An entry of a served image, at the model's size or, of a photograph, smaller."""
    image, png, text = own_size(model, path), BytesIO(), PngInfo()
    with Image.open(path) as served:
        text.add_itxt(KEY, served.info[KEY])
    image.thumbnail((SIDE, SIDE))
    image.save(png, "PNG", pnginfo=text)
    return b64encode(png.getvalue()).decode()


def _unpack(entry: str) -> tuple[str, str] | None:
    """The served image of an entry and its caption; None of what another program wrote there."""
    try:
        file = BytesIO(b64decode(entry))
        made = made_from(file)
        with Image.open(file) as image:
            path = serve_image(enlarge(image), made)
        guidance = f" · guidance {made['guidance']}" if "guidance" in made else ""
        return path, f"seed {made['seed']}{guidance} · {made['prompt']}"
    except (ValueError, OSError, KeyError, TypeError):
        return None
