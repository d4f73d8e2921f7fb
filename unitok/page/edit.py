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
from unitok.page.example_buttons import choices
from unitok.page.model_view import as_seen, shown
from unitok.page.overlay import enlarged
from unitok.page.served_images import kept
from unitok.page.status import MODEL, alerted, gallery, status, stopped, told
from unitok.page.throttle import paced
from unitok.pixels import as_rgb

PAINTED = "what I paint"
PARTS = {
    "the left half": (0, 0, 0.5, 1),
    "the right half": (0.5, 0, 1, 1),
    "the top half": (0, 0, 1, 0.5),
    "the bottom half": (0, 0.5, 1, 1),
    "everything": (0, 0, 1, 1),
}
"""Parts that can be named without painting: shares of the picture (left, top, right, bottom)."""
INK = "#e11d48aa"
"""Of the brush: seen on any picture, and seen through."""


@dataclass(frozen=True)
class Edit:
    """Changes pictures."""

    model: UniTok

    @told(1)
    def redraw(
        self, value: dict | None, part: str, prompt: str, best_of: float, seed: float
    ) -> Iterator[tuple]:
        """The picture with a part drawn anew, and what is going on."""
        picture = as_seen(self.model, _background(value))
        mask = _mask(value, part, picture.size)
        yield gr.skip(), "Drawing …"
        drawn = self.model.inpaint(picture, mask, prompt.strip(), best_of=int(best_of), seed=int(seed))
        yield _before_and_after(picture, drawn[0]), "Done."

    @told(1)
    def instruct(self, value: dict | None, instruction: str, seed: float) -> Iterator[tuple]:
        """The picture as an instruction changes it, row by row."""
        picture = as_seen(self.model, _background(value))
        if not instruction.strip():
            raise ValueError("Say what to change, or choose an example.")
        document = (Segment("image", picture), Segment("text", instruction.strip()))
        for update in paced(self.model.stream(document, target="image", seed=int(seed))):
            yield _before_and_after(picture, update.content), "Done." if update.done else "Drawing …"

    @told(1)
    def vary(self, value: dict | None, prompt: str, keep: float, seed: float) -> Iterator[tuple]:
        """Variations of the picture of which a share `keep` of the cells stays."""
        picture = as_seen(self.model, _background(value))
        yield gr.skip(), "Drawing …"
        drawn = self.model.vary(picture, prompt.strip(), keep=keep, n=3, seed=int(seed))
        yield [_named(picture, "before"), *(_named(p, "variation") for p in drawn)], "Done."


def _before_and_after(before: Image.Image, after: Image.Image) -> list[tuple[str, str]]:
    return [_named(before, "before"), _named(after, "after")]


def _named(picture: Image.Image, name: str) -> tuple[str, str]:
    return kept(enlarged(picture)), name


def _background(value: dict | None) -> Image.Image | None:
    """The picture under the paint, alpha on white; None where there is none."""
    picture = (value or {}).get("background")
    return None if picture is None else as_rgb(picture)


def _mask(value: dict, part: str, size: tuple[int, int]) -> Image.Image:
    """White where a picture of this size is to be drawn anew. Raises ValueError where nothing is painted."""
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
        raise ValueError("Paint over what is to be drawn anew, or choose a part by name.")
    return mask


class Way(NamedTuple):
    """A way to change a picture: what begins it, what it does, and what it asks between picture and seed."""

    begins: list[Callable]
    change: Callable[..., Iterator[tuple]]
    asks: list[Component]


def tab(model: UniTok) -> None:
    """Add the tab to the page that is being built."""
    work = Edit(model)
    with gr.Row():
        with gr.Column(min_width=300):
            editor = _editor(model)
        with gr.Column(min_width=300):
            with gr.Tabs():
                ways = [_redrawing(work), _instructing(work), _varying(work)]
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            stop = gr.Button("Stop")
            said = status("Choose a way to change the picture.")
            results = gallery("Result")
    outputs, hidden = [results, said], {"show_progress": "hidden", **MODEL}
    runs = [gr.on(way.begins, way.change, [editor, *way.asks, seed], outputs, **hidden) for way in ways]
    stop.click(stopped, None, said, cancels=runs, queue=False, api_visibility="private")


def _editor(model: UniTok) -> gr.ImageEditor:
    """The picture to paint on, of the visitor or an example; shown as the model sees it."""
    scenes = examples.pictures(model)
    gr.Markdown("Paint over what is to change.")
    editor = gr.ImageEditor(
        _editable(scenes[0]), label="Picture", show_label=False, type="pil", format="png",
        sources=("upload", "clipboard"), transforms=(), layers=False, buttons=[], height=460,
        brush=gr.Brush(default_size=48, colors=[INK], default_color=INK, color_mode="fixed"),
        eraser=gr.Eraser(default_size=48), canvas_size=(384, 384),
    )  # fmt: skip
    choices({f"Example {k}": _editable(scene) for k, scene in enumerate(scenes, 1)}, editor)
    editor.upload(
        alerted(_uploaded, model),
        editor,
        editor,
        show_progress="hidden",
        api_visibility="private",
    )
    return editor


def _uploaded(model: UniTok, value: dict) -> dict:
    """A visitor's picture to paint on, as the model sees it."""
    return _editable(shown(model, _background(value)))


def _redrawing(work: Edit) -> Way:
    with gr.Tab("Redraw a part"):
        part = gr.Dropdown([PAINTED, *PARTS], value=PAINTED, label="Which part")
        prompt = gr.Textbox(label="What the whole picture shows then", value=examples.prompts(work.model)[0])
        best_of = gr.Slider(1, 8, value=4, step=1, label="Draw so many, keep the likeliest")
        button = gr.Button("Redraw", variant="primary")
    return Way([button.click, prompt.submit], work.redraw, [part, prompt, best_of])


def _instructing(work: Edit) -> Way:
    with gr.Tab("Instruct"):
        order = gr.Textbox(label="Instruction", value=examples.INSTRUCTIONS[0])
        button = gr.Button("Change it", variant="primary")
    return Way([button.click, order.submit], work.instruct, [order])


def _varying(work: Edit) -> Way:
    with gr.Tab("Vary"):
        words = gr.Textbox(label="What the picture shows", value=examples.prompts(work.model)[0])
        keep = gr.Slider(0, 0.95, value=0.5, step=0.05, label="Share of the cells that stay")
        button = gr.Button("Vary", variant="primary")
    return Way([button.click, words.submit], work.vary, [words, keep])


def _editable(picture: Image.Image) -> dict:
    return {"background": kept(picture), "layers": [], "composite": None}
