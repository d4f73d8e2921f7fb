"""The Edit tab: inpainting, instructions, variations. Knows a model's public calls alone."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import gradio as gr
from gradio.components import Component
from PIL import Image, ImageChops

from unitok.api.editing import INPAINT_BEST_OF
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.page import examples
from unitok.page.image_input import accept_any_file, on_upload
from unitok.page.model_view import ImageFile, model_view, own_size, paint_view, shown_view
from unitok.page.overlay import enlarge
from unitok.page.runs import Runs, in_steps
from unitok.page.served_images import add_gallery, serve_image
from unitok.page.status import add_status, report_errors
from unitok.page.tab import Site, Source, Tab, Taker, add_picked, add_send_buttons
from unitok.page.tabs.draw import add_seed
from unitok.page.throttle import throttle
from unitok.pixels import Edges, as_rgb

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
EDIT = {"tab": "edit"}
INK = "#e11d48aa"
"""Colour of the brush: visible on any image, and translucent."""


@dataclass(frozen=True)
class Edit:
    """Event handlers of the tab; `photo` is the path of the image, `paint` what the editor shows of it."""

    model: UniTok

    @report_errors(1)
    def redraw(
        self, photo: str | None, paint: dict | None, part: str, prompt: str, best_of: float, seed: float
    ) -> Iterator[tuple]:
        """Redraw a part of the image: yields it before and after, and the status."""
        image = own_size(self.model, self._photo(photo, paint))
        mask = _mask(paint, part, image.size, edges=self.model.codec.image.crop_edges(image))
        made = {"prompt": prompt.strip(), "seed": int(seed), "best_of": int(best_of), "part": part} | EDIT
        steps = in_steps(
            lambda on_step: self.model.inpaint(
                image, mask, made["prompt"], best_of=made["best_of"], seed=made["seed"], full_size=True,
                on_step=on_step,
            )
        )  # fmt: skip
        (drawn,) = yield from _drawing(steps)
        size = f"the rest of the {image.width} × {image.height} pixels is as it was"
        yield _before_and_after(image, drawn, made), f"Done; {size}."

    @report_errors(1)
    def instruct(
        self, photo: str | None, paint: dict | None, instruction: str, seed: float
    ) -> Iterator[tuple]:
        """Edit the image by an instruction, row by row: yields it before and after, and the status."""
        photo = self._photo(photo, paint)
        image = model_view(self.model, photo)
        if not instruction.strip():
            raise ValueError("Say what to change.")
        document = (Segment("image", shown_view(self.model, photo)), Segment("text", instruction.strip()))
        made = {"prompt": instruction.strip(), "seed": int(seed), "instruction": instruction.strip()} | EDIT
        for update in throttle(self.model.stream(document, target="image", seed=int(seed))):
            done = f"Done. {_whole(image)}" if update.done else "Drawing …"
            yield _before_and_after(image, update.content, made if update.done else None), done

    @report_errors(1)
    def vary(
        self, photo: str | None, paint: dict | None, prompt: str, keep: float, seed: float
    ) -> Iterator[tuple]:
        """Draw variations of the image that keep a share `keep` of the cells."""
        image = model_view(self.model, self._photo(photo, paint))
        made = {"prompt": prompt.strip(), "seed": int(seed), "shows": prompt.strip(), "keep": keep} | EDIT
        options = {"keep": keep, "n": 3, "seed": int(seed)}
        steps = in_steps(lambda on_step: self.model.vary(image, prompt.strip(), on_step=on_step, **options))
        drawn = yield from _drawing(steps)
        variations = [
            (serve_image(enlarge(one), made | {"copy": k}), "variation") for k, one in enumerate(drawn)
        ]
        yield [(serve_image(enlarge(image)), "before"), *variations], f"Done. {_whole(image)}"

    def _photo(self, photo: str | None, paint: dict | None) -> ImageFile:
        """The photo, or the image that was dropped into the editor instead."""
        shown = (paint or {}).get("background")
        if photo is None or shown is None or _same(as_rgb(shown), paint_view(self.model, photo)):
            return photo
        return as_rgb(shown)


def _same(one: Image.Image, other: Image.Image) -> bool:
    """Whether images are equal but for a browser's rounding."""
    if one.size != other.size:
        return False
    return max(high for _, high in ImageChops.difference(one, other).getextrema()) < 8


def _drawing(steps: Generator[int, None, list]) -> Generator[tuple, None, list]:
    """Yield the status of a call in steps, and return its images."""
    try:
        while True:
            yield gr.skip(), f"Drawing: step {next(steps)} …"
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def _whole(image: Image.Image) -> str:
    return f"The model drew all of the picture, at its own size of {image.width} × {image.height} pixels."


def _before_and_after(before: Image.Image, after: Image.Image, made: dict | None) -> list[tuple[str, str]]:
    return [(serve_image(enlarge(before)), "before"), (serve_image(enlarge(after), made), "after")]


def _mask(paint: dict | None, part: str, size: tuple[int, int], *, edges: Edges) -> Image.Image:
    """Build the mask of an image of this size, white where it is redrawn. Raises ValueError if nothing is.

    A part that has a name is one of what the model sees, the pixels between the edges.
    """
    mask, seen = Image.new("L", size), tuple(map(round, edges))
    if part in PARTS:
        box = [
            round(low + share * (high - low))
            for share, low, high in zip(PARTS[part], seen[:2] * 2, seen[2:] * 2, strict=True)
        ]
        mask.paste(255, tuple(box))
        return mask
    for layer in (paint or {}).get("layers") or ():
        alpha = layer.convert("RGBA").getchannel("A").resize(size, Image.Resampling.BILINEAR)
        mask = ImageChops.lighter(mask, alpha.point(lambda alpha: 255 * (alpha >= 64)))
    if not mask.crop(seen).getbbox():
        where = "Paint over the part to redraw, or choose one by name."
        raise ValueError(f"{where} The model does not see the pale edges." if mask.getbbox() else where)
    return mask


class Method(NamedTuple):
    """A way to edit: triggers, handler, and the handler's inputs between image and seed, by name."""

    triggers: list[Callable]
    handler: Callable[..., Iterator[tuple]]
    settings: dict[str, Component]


def add_tab(site: Site) -> Tab:
    """Add the tab to the page."""
    model, runs, handlers = site.model, Runs(site.queue), Edit(site.model)
    with gr.Row():
        with gr.Column(min_width=300):
            photo, editor, upload = _add_editor(model)
        with gr.Column(min_width=300):
            with gr.Tabs():
                methods = [add(handlers) for add, tasks in METHODS.items() if not model.unlearned(*tasks)]
            seed = add_seed()
            stop = gr.Button("Stop")
            status = add_status("Choose how to change the picture.")
            results = add_gallery("Result")
            picked = add_picked(results)
            buttons = add_send_buttons(site)
    outputs = [results, status]
    events = [
        runs.add(m.triggers, m.handler, [photo, editor, *m.settings.values(), seed], outputs) for m in methods
    ]
    for event in events:
        event.then(lambda drawn: drawn[1][0] if drawn else None, results, picked, show_progress="hidden",
                   api_visibility="private")  # fmt: skip
    runs.add_stop([stop.click], [status])
    show = partial(_show, model)
    on_upload(upload, show, [photo, editor], status=status, answers=[results, picked])
    settings = {name: one for method in methods for name, one in method.settings.items()} | {"seed": seed}
    return Tab(
        status,
        Source(picked, lambda path: path, buttons),
        Taker([photo, editor], show),
        settings=settings,
        runs=events,
        results=results,
    )


def _add_editor(model: UniTok) -> tuple[gr.State, gr.ImageEditor, gr.UploadButton]:
    """Add the image's path, the editor that shows it, and the button that uploads another one.

    The editor itself has no button for uploads, since it does not say that one is broken.
    """
    scenes = [serve_image(scene) for scene in examples.scenes(model)]
    gr.Markdown("Paint over the part to change.")
    editor = gr.ImageEditor(
        _show(model, scenes[0])[1], label="Picture", show_label=False, type="pil", format="png", sources=(),
        transforms=(), layers=False, buttons=[], height=460,
        brush=gr.Brush(default_size=48, colors=[INK], default_color=INK, color_mode="fixed"),
        eraser=gr.Eraser(default_size=48), canvas_size=(384, 384),
    )  # fmt: skip
    photo = gr.State(scenes[0])
    with gr.Row(elem_classes="example-buttons"):
        upload = accept_any_file(gr.UploadButton("Upload a picture", size="sm", file_types=["image"]))
        for k, scene in enumerate(scenes, 1):
            gr.Button(f"Example {k}", size="sm").click(
                partial(_show, model, scene), None, [photo, editor], show_progress="hidden",
                api_visibility="private",
            )  # fmt: skip
    return photo, editor, upload


def _show(model: UniTok, path: str) -> tuple[str, dict]:
    """The path of an image, and what the editor shows of it."""
    view = serve_image(paint_view(model, path))
    return path, {"background": view, "layers": [], "composite": None}


def _add_redraw(handlers: Edit) -> Method:
    with gr.Tab("Redraw a part"):
        part = gr.Dropdown([PAINTED, *PARTS], value=PAINTED, label="Which part")
        prompt = gr.Textbox(label="What the whole result shows", value=examples.prompts(handlers.model)[0])
        best_of = gr.Slider(
            1, 8, value=INPAINT_BEST_OF, step=1, label="Samples, of which the likeliest is kept"
        )
        button = gr.Button("Redraw", variant="primary")
    settings = {"part": part, "prompt": prompt, "best_of": best_of}
    return Method([button.click, prompt.submit], handlers.redraw, settings)


def _add_instruct(handlers: Edit) -> Method:
    with gr.Tab("Instruct"):
        instruction = gr.Textbox(label="Instruction", value=examples.instructions(handlers.model)[0])
        button = gr.Button("Change it", variant="primary")
    settings = {"instruction": instruction}
    return Method([button.click, instruction.submit], handlers.instruct, settings)


def _add_vary(handlers: Edit) -> Method:
    with gr.Tab("Vary"):
        prompt = gr.Textbox(label="What the picture shows", value=examples.prompts(handlers.model)[0])
        keep = gr.Slider(0, 0.95, value=0.5, step=0.05, label="Share of the cells to keep")
        button = gr.Button("Vary", variant="primary")
    settings = {"shows": prompt, "keep": keep}
    return Method([button.click, prompt.submit], handlers.vary, settings)


METHODS = {_add_redraw: REDRAWING, _add_instruct: ("edits",), _add_vary: REDRAWING}
"""Ways to edit, in the order of their tabs, and the tasks of which a model must have learned one."""
