"""The status line of a tab: what to do, results, errors."""

import html
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import gradio as gr

MODEL = {"concurrency_id": "model", "concurrency_limit": 1, "api_visibility": "private"}
"""Options of every event that lets the model work: one at a time, in the order of asking."""


def line(text: str, *, bad: bool = False) -> str:
    """A status line; `bad` makes it an alert."""
    role, kind = ("alert", "bad") if bad else ("status", "good")
    return f'<p role="{role}" class="told {kind}">{html.escape(" ".join(text.split()))}</p>' if text else ""


def status(text: str) -> gr.HTML:
    """The place of a tab's status line, with what it says at first."""
    return gr.HTML(line(text), container=False, padding=False)


def told(outputs: int) -> Callable[[Callable], Callable]:
    """Decorate a handler that yields `outputs` values and a status text: errors become its status line.

    What was shown stays where an error comes.
    """

    def decorate(handler: Callable[..., Iterator[tuple]]) -> Callable[..., Iterator[tuple]]:
        def run(*given) -> Iterator[tuple]:
            try:
                for *values, text in handler(*given):
                    yield (*values, line(text))
            except (ValueError, OSError) as error:
                yield (*[gr.skip()] * outputs, line(str(error), bad=True))

        # gradio must see a generator, which a def is no longer once shapes are checked: hence a lambda
        return wraps(handler)(lambda *given: (yield from run(*given)))

    return decorate


def alerted(show: Callable[..., Any], *known: Any) -> Callable[[Any], Any]:
    """What shows a visitor's upload; an error becomes the page's alert."""

    def run(given: Any) -> Any:
        try:
            return show(*known, given)
        except (ValueError, OSError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    return run


def stopped() -> str:
    """The status line of a run that was cancelled."""
    return line("Stopped.")


def gallery(name: str) -> gr.Gallery:
    """The place of a tab's pictures; as high as they are."""
    return gr.Gallery(
        label=name, show_label=False, columns=2, object_fit="contain", format="png", buttons=["download"],
        elem_classes="pictures",
    )  # fmt: skip
