"""The status line of a tab: hints, results, errors."""

import html
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import gradio as gr

RUNS_MODEL = {"concurrency_id": "model", "concurrency_limit": 1, "api_visibility": "private"}
"""Options of every event that runs the model: one at a time, first come, first served."""


def status_line(text: str, *, error: bool = False) -> str:
    """Format a status line; an error is an alert to screen readers."""
    role, kind = ("alert", "error") if error else ("status", "info")
    if not text:
        return ""
    return f'<p role="{role}" class="status-line {kind}">{html.escape(" ".join(text.split()))}</p>'


def add_status(text: str) -> gr.HTML:
    """Add a tab's status line, with its first text."""
    return gr.HTML(status_line(text), container=False, padding=False)


def report_errors(outputs: int) -> Callable[[Callable], Callable]:
    """Decorate a handler that yields `outputs` values and a status text: errors become its status line.

    After an error the values on the page stay as they were.
    """

    def decorate(handler: Callable[..., Iterator[tuple]]) -> Callable[..., Iterator[tuple]]:
        def run(*inputs) -> Iterator[tuple]:
            try:
                for *values, text in handler(*inputs):
                    yield (*values, status_line(text))
            except (ValueError, OSError) as error:
                yield (*[gr.skip()] * outputs, status_line(str(error), error=True))

        # gradio must see a generator function, which a def checked by jaxtyping is not: hence a lambda
        return wraps(handler)(lambda *inputs: (yield from run(*inputs)))

    return decorate


def alert_errors(show: Callable[..., Any], *first: Any) -> Callable[[Any], Any]:
    """Make a handler of uploads from `show`, which gets `first` and the upload; errors alert the visitor."""

    def run(upload: Any) -> Any:
        try:
            return show(*first, upload)
        except (ValueError, OSError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    return run


def report_stop() -> str:
    """The status line of a cancelled run."""
    return status_line("Stopped.")


def add_gallery(name: str) -> gr.Gallery:
    """Add the gallery of a tab's images, as high as they are."""
    return gr.Gallery(
        label=name, show_label=False, columns=2, object_fit="contain", format="png", buttons=["download"],
        elem_classes="image-gallery",
    )  # fmt: skip
