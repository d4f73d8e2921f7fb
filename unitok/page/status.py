"""The status line of a tab: hints, results, errors."""

import html
from collections.abc import Callable, Iterator
from functools import wraps

import gradio as gr


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
