"""Inputs of images: a broken upload is one line in the status line, and leaves no old answer."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from unitok.api.unitok import UniTok
from unitok.page import examples
from unitok.page.example_buttons import add_example_buttons
from unitok.page.served_images import serve_image
from unitok.page.status import status_line


def add_image_input(model: UniTok, **options: Any) -> gr.Image:
    """Add an input of an image, with the example scenes."""
    scenes = examples.scenes(model)
    image = gr.Image(
        serve_image(scenes[0]), label="Picture", type="filepath", image_mode=None,
        sources=["upload", "clipboard"], format="png", buttons=[], **options,
    )  # fmt: skip
    add_example_buttons({f"Example {k}": serve_image(scene) for k, scene in enumerate(scenes, 1)}, image)
    return accept_any_file(image)


def accept_any_file(component: Component) -> Component:
    """Make an image input hand over its file's path: Gradio would open it, and print a traceback."""
    component.preprocess = lambda payload: payload and payload.path
    return component


def on_upload(
    component: Component,
    show: Callable[[Any], Any],
    shown: Sequence[Component],
    *,
    status: gr.HTML,
    answers: Sequence[Component] = (),
) -> None:
    """Show an upload, and clear the answers to the one before.

    Args:
        component: takes the upload.
        show: gives the values of `shown` from what the component hands over, the path of a file; its errors
            become the status line.
        shown: shows the image; empty after an error.
        status: the tab's status line.
        answers: what was said or drawn of the image before.
    """

    def run(upload: Any) -> tuple:
        cleared = [None] * len(answers)
        try:
            values, line = show(upload), ""
        except (ValueError, OSError) as error:
            values, line = [None] * len(shown), status_line(str(error), error=True)
        return *values, *cleared, line

    component.upload(run, component, [*shown, *answers, status], show_progress="hidden",
                     api_visibility="private")  # fmt: skip
