"""The Edit tab: inpainting, instructions, variations. Knows a model's public calls alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr
from gradio.components import Component
from PIL import Image, ImageChops

from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.page import examples
from unitok.page.example_buttons import add_example_buttons
from unitok.page.model_view import enlarged_shown_view, model_view, shown_view
from unitok.page.overlay import enlarge
from unitok.page.served_images import serve_image
from unitok.page.status import RUNS_MODEL, add_gallery, add_status, alert_errors, report_errors, report_stop
from unitok.page.throttle import throttle
from unitok.pixels import as_rgb

REDRAWING = ("drawings", "fills", "images")
TASKS = (*REDRAWING, "edits")
PAINTED = "the painted part"
PARTS = {
    "the left half": (0, 0, 0.5, 1),
    "the right half": (0.5, 0, 1, 1),
    "the top half": (0, 0, 1, 0.5),
    "the bottom half": (0, 0.5, 1, 1),
    "everything": (0, 0, 1, 1),
}
"""Parts to choose without painting: (left, top, right, bottom) as fractions of the image."""
INK = "#e11d48aa"
"""Colour of the brush: visible on any image, and translucent."""


@dataclass(frozen=True)
class Edit:
    """Event handlers of the tab."""

    model: UniTok

    @report_errors(1)
    def redraw(
        self, value: dict | None, part: str, prompt: str, best_of: float, seed: float
    ) -> Iterator[tuple]:
        """Redraw a part of the image: yields it before and after, and the status."""
        image = model_view(self.model, _background(value))
        mask = _mask(value, part, image.size)
        yield gr.skip(), "Drawing …"
        (drawn,) = self.model.inpaint(image, mask, prompt.strip(), best_of=int(best_of), seed=int(seed))
        yield _before_and_after(image, drawn), "Done."

    @report_errors(1)
    def instruct(self, value: dict | None, instruction: str, seed: float) -> Iterator[tuple]:
        """Edit the image by an instruction, row by row: yields it before and after, and the status."""
        image = model_view(self.model, _background(value))
        if not instruction.strip():
            raise ValueError("Say what to change.")
        shown = shown_view(self.model, _background(value))
        document = (Segment("image", shown), Segment("text", instruction.strip()))
        for update in throttle(self.model.stream(document, target="image", seed=int(seed))):
            yield _before_and_after(image, update.content), "Done." if update.done else "Drawing …"

    @report_errors(1)
    def vary(self, value: dict | None, prompt: str, keep: float, seed: float) -> Iterator[tuple]:
        """Draw variations of the image that keep a share `keep` of the cells."""
        image = model_view(self.model, _background(value))
        yield gr.skip(), "Drawing …"
        drawn = self.model.vary(image, prompt.strip(), keep=keep, n=3, seed=int(seed))
        yield [_captioned(image, "before"), *(_captioned(d, "variation") for d in drawn)], "Done."


def _before_and_after(before: Image.Image, after: Image.Image) -> list[tuple[str, str]]:
    return [_captioned(before, "before"), _captioned(after, "after")]


def _captioned(image: Image.Image, caption: str) -> tuple[str, str]:
    return serve_image(enlarge(image)), caption


def _background(value: dict | None) -> Image.Image | None:
    """The image below the paint, transparency on white; None if there is none."""
    image = (value or {}).get("background")
    return None if image is None else as_rgb(image)


def _mask(value: dict, part: str, size: tuple[int, int]) -> Image.Image:
    """Build the mask of an image of this size, white where it is redrawn. Raises ValueError if nothing is."""
    mask = Image.new("L", size)
    if part in PARTS:
        left, top, right, bottom = PARTS[part]
        mask.paste(
            255, tuple(round(v * side) for v, side in zip((left, top, right, bottom), size * 2, strict=True))
        )
        return mask
    for layer in value.get("layers") or ():
        painted = layer.convert("RGBA").getchannel("A").resize(size, Image.Resampling.BOX)
        mask = ImageChops.lighter(mask, painted.point(lambda alpha: 255 * (alpha >= 64)))
    if not mask.getbbox():
        raise ValueError("Paint over the part to redraw, or choose one by name.")
    return mask


class Method(NamedTuple):
    """A way to edit: its triggers, its handler, and the handler's inputs between image and seed."""

    triggers: list[Callable]
    handler: Callable[..., Iterator[tuple]]
    inputs: list[Component]


def add_tab(model: UniTok) -> None:
    """Add the tab to the page."""
    handlers = Edit(model)
    with gr.Row():
        with gr.Column(min_width=300):
            editor = _add_editor(model)
        with gr.Column(min_width=300):
            with gr.Tabs():
                methods = [add(handlers) for add, tasks in METHODS.items() if not model.unlearned(*tasks)]
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            stop = gr.Button("Stop")
            status = add_status("Choose how to change the picture.")
            results = add_gallery("Result")
    outputs, hidden = [results, status], {"show_progress": "hidden", **RUNS_MODEL}
    runs = [gr.on(m.triggers, m.handler, [editor, *m.inputs, seed], outputs, **hidden) for m in methods]
    stop.click(report_stop, None, status, cancels=runs, queue=False, api_visibility="private")


def _add_editor(model: UniTok) -> gr.ImageEditor:
    """Add the editor for the visitor's image or an example, in the model's view."""
    scenes = examples.scenes(model)
    gr.Markdown("Paint over the part to change.")
    editor = gr.ImageEditor(
        _editable(scenes[0]), label="Picture", show_label=False, type="pil", format="png",
        sources=("upload", "clipboard"), transforms=(), layers=False, buttons=[], height=460,
        brush=gr.Brush(default_size=48, colors=[INK], default_color=INK, color_mode="fixed"),
        eraser=gr.Eraser(default_size=48), canvas_size=(384, 384),
    )  # fmt: skip
    add_example_buttons({f"Example {k}": _editable(scene) for k, scene in enumerate(scenes, 1)}, editor)
    editor.upload(
        alert_errors(_load_upload, model),
        editor,
        editor,
        show_progress="hidden",
        api_visibility="private",
    )
    return editor


def _load_upload(model: UniTok, value: dict) -> dict:
    """Replace a visitor's image by what the model is shown of it."""
    return _editable(enlarged_shown_view(model, _background(value)))


def _add_redraw(handlers: Edit) -> Method:
    with gr.Tab("Redraw a part"):
        part = gr.Dropdown([PAINTED, *PARTS], value=PAINTED, label="Which part")
        prompt = gr.Textbox(label="What the whole result shows", value=examples.prompts(handlers.model)[0])
        best_of = gr.Slider(1, 8, value=4, step=1, label="Samples, of which the likeliest is kept")
        button = gr.Button("Redraw", variant="primary")
    return Method([button.click, prompt.submit], handlers.redraw, [part, prompt, best_of])


def _add_instruct(handlers: Edit) -> Method:
    with gr.Tab("Instruct"):
        instruction = gr.Textbox(label="Instruction", value=examples.instructions(handlers.model)[0])
        button = gr.Button("Change it", variant="primary")
    return Method([button.click, instruction.submit], handlers.instruct, [instruction])


def _add_vary(handlers: Edit) -> Method:
    with gr.Tab("Vary"):
        prompt = gr.Textbox(label="What the picture shows", value=examples.prompts(handlers.model)[0])
        keep = gr.Slider(0, 0.95, value=0.5, step=0.05, label="Share of the cells to keep")
        button = gr.Button("Vary", variant="primary")
    return Method([button.click, prompt.submit], handlers.vary, [prompt, keep])


METHODS = {_add_redraw: REDRAWING, _add_instruct: ("edits",), _add_vary: REDRAWING}
"""Ways to edit, in the order of their tabs, and the tasks of which a model must have learned one."""


def _editable(image: Image.Image) -> dict:
    return {"background": serve_image(image), "layers": [], "composite": None}
