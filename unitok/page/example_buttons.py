"""A row of buttons that fill an input with an example. Knows no model."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component


def choices(values: Mapping[str, Any], target: Component) -> None:
    """Add a button a name, which puts its value into `target`."""
    with gr.Row(elem_classes="choices"):
        for name, value in values.items():
            gr.Button(name, size="sm").click(
                _giving(value), None, target, queue=False, show_progress="hidden", api_visibility="private"
            )


def _giving(value: Any):
    return lambda: value
