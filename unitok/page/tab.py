"""What tabs share: the model and its queue, and how an image goes from one tab to another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component

from unitok.api.unitok import UniTok
from unitok.page.runs import RunQueue
from unitok.page.status import status_line


@dataclass(frozen=True)
class Site:
    """The model that a page serves, its queue, the tabs that take images, and drawings to begin with.

    Drawings are pairs of a served image's path and its prompt.
    """

    model: UniTok
    queue: RunQueue = field(default_factory=RunQueue)
    takers: tuple[str, ...] = ()
    drawings: tuple[tuple[str, str], ...] = ()


class Source(NamedTuple):
    """Where a tab's image comes from, and the buttons that send it on, by the names of tabs."""

    component: Component
    path_of: Callable[[Any], str | None]
    buttons: Mapping[str, gr.Button]


class Taker(NamedTuple):
    """What a tab does with the path of an image that is sent to it; `values` are those of `outputs`."""

    outputs: Sequence[Component]
    values: Callable[[str], Sequence[Any]]


@dataclass(frozen=True)
class Tab:
    """What the page needs of a tab.

    Args:
        status: its status line.
        source: the image that it sends on.
        taker: what takes an image; None for a tab that takes none.
        settings: components by the names of their settings in the page's address.
        runs: events after which the address has the settings.
        results: gallery of what it drew, for the history.
    """

    status: gr.HTML
    source: Source
    taker: Taker | None = None
    settings: Mapping[str, Component] = field(default_factory=dict)
    runs: Sequence[Any] = ()
    results: gr.Gallery | None = None


def add_send_buttons(site: Site) -> dict[str, gr.Button]:
    """Add a row of buttons that send a tab's image to others."""
    with gr.Row(elem_classes="send-buttons"):
        gr.HTML("<span>Send to</span>", container=False, padding=False, min_width=60)
        return {name: gr.Button(name, size="sm", min_width=60) for name in site.takers}


def connect(tabs: gr.Tabs, source: Source, status: gr.HTML, takers: Mapping[str, Taker]) -> None:
    """Let the buttons of a source fill the takers and open their tabs."""
    for name, button in source.buttons.items():
        button.click(
            _sending(source, name, takers[name]),
            source.component,
            [tabs, status, *takers[name].outputs],
            show_progress="hidden",
            api_visibility="private",
        )


def _sending(source: Source, name: str, taker: Taker) -> Callable[[Any], tuple]:
    def send(value: Any) -> tuple:
        path = source.path_of(value)
        if path is None:
            line = status_line("There is no picture to send yet.", error=True)
            return gr.skip(), line, *[gr.skip()] * len(taker.outputs)
        return gr.Tabs(selected=name.lower()), gr.skip(), *taker.values(path)

    return send


def add_picked(gallery: gr.Gallery, first: str | None = None) -> gr.State:
    """Add the path of the image of a gallery that the visitor has chosen; at the beginning, of the first."""
    picked = gr.State(first)
    gallery.select(_pick, gallery, picked, show_progress="hidden", api_visibility="private")
    return picked


def _pick(images: list, event: gr.SelectData) -> str:
    return images[event.index][0]
