"""A row of buttons that fill an input with an example. Knows no model."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component


def add_example_buttons(examples: Mapping[str, Any], target: Component) -> None:
    """Add a button per name that puts its example into `target`."""
    with gr.Row(elem_classes="example-buttons"):
        for name, value in examples.items():
            gr.Button(name, size="sm").click(
                _returning(value), None, target, queue=False, show_progress="hidden", api_visibility="private"
            )


def _returning(value: Any):
    return lambda: value
