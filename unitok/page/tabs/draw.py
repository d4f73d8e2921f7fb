"""The Draw tab: images from a prompt, row by row. Knows a model's public calls alone."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.page import examples
from unitok.page.example_buttons import add_example_buttons
from unitok.page.overlay import enlarge
from unitok.page.runs import Runs, in_steps
from unitok.page.served_images import add_gallery, serve_image
from unitok.page.status import add_status, report_errors
from unitok.page.tab import Site, Source, Tab, add_picked, add_send_buttons
from unitok.page.throttle import throttle

MAX_IMAGES = 8  # of one prompt
EXAMPLES_BEST_OF = 4
TASKS = ("drawings", "images")
SETTINGS = (
    "prompt", "negative", "n", "best_of", "seed", "guidance", "temperature", "top_p", "height", "width"
)  # fmt: skip
"""Names of the inputs of `Draw.draw`, as in the page's address and in the images' files."""


@dataclass(frozen=True)
class Draw:
    """Event handlers of the tab; the images of a prompt have the seeds `seed`, `seed` + 1, …"""

    model: UniTok

    @report_errors(1)
    def draw(self, *values: Any) -> Iterator[tuple[list[str], str]]:
        """Draw images from the values of `SETTINGS`: yields those so far, and the status."""
        made = {"tab": "draw"} | dict(zip(SETTINGS, values, strict=False))
        made["prompt"] = made["prompt"].strip()
        if not made["prompt"]:
            raise ValueError("Say what to draw, or choose an example.")
        n, first, done = int(made["n"]), int(made["seed"]), []
        for seed in range(first, first + n):
            one = made | {"n": 1, "seed": seed}
            for image, stage in self._draw_one(one):
                shown = [] if image is None else [serve_image(enlarge(image))]
                yield [*done, *shown], f"Drawing {seed - first + 1} of {n}{stage} …"
            done.append(serve_image(enlarge(image), one))
        seeds = f"Seeds {first} to {first + n - 1} draw these" if n > 1 else f"Seed {first} draws this"
        yield done, f"Done. {seeds} again."

    def _draw_one(self, made: dict[str, Any]) -> Iterator[tuple[Image.Image | None, str]]:
        """Yield an image while it is drawn, and the stage; the last image is complete."""
        size = (int(made.get("height") or 0), int(made.get("width") or 0))
        options = {
            "seed": made["seed"], "size": size if any(size) else None,
            "guidance_scale": made["guidance"], "temperature": made["temperature"], "top_p": made["top_p"],
        }  # fmt: skip
        negative, best_of = made["negative"].strip(), int(made["best_of"])
        if best_of == 1:
            options["negative"] = (Segment("text", negative),) if negative else ()
            updates = self.model.stream((Segment("text", made["prompt"]),), target="image", **options)
            for update in throttle(updates):
                yield update.content, ""
            return
        options |= {"negative": negative or None, "best_of": best_of}
        image = yield from _best(self.model, made["prompt"], options)
        yield image, ""


def _best(
    model: UniTok, prompt: str, options: dict[str, Any]
) -> Generator[tuple[None, str], None, Image.Image]:
    """Draw the best of several samples; yields the stage."""
    steps = in_steps(lambda on_step: model.draw(prompt, on_step=on_step, **options))
    try:
        while True:
            yield None, f", the best of {options['best_of']}: step {next(steps)}"
    except StopIteration as end:
        return end.value[0]
    finally:
        steps.close()


def draw_examples(model: UniTok) -> tuple[tuple[str, str], ...]:
    """Draw each example prompt, the best of `EXAMPLES_BEST_OF`: the paths of the images, and the prompts."""
    prompts, defaults = examples.prompts(model), model.sampling["image"]
    drawn = model.draw(prompts, best_of=EXAMPLES_BEST_OF)
    made = {"tab": "draw", "prompt": "", "n": 1, "best_of": EXAMPLES_BEST_OF, "seed": 0,
            "guidance": defaults.guidance_scale, "temperature": defaults.temperature}  # fmt: skip
    pairs = zip(prompts, drawn, strict=True)
    return tuple((serve_image(enlarge(image), made | {"prompt": prompt}), prompt) for prompt, image in pairs)


def add_tab(site: Site) -> Tab:
    """Add the tab to the page."""
    model, runs = site.model, Runs(site.queue)
    with gr.Row():
        with gr.Column(min_width=300):
            prompt = gr.Textbox(
                label="What to draw", value=examples.prompts(model)[0], lines=1, max_lines=3,
                placeholder=examples.prompts(model)[0], submit_btn=False,
            )  # fmt: skip
            add_example_buttons({text: text for text in examples.prompts(model)}, prompt)
            with gr.Row():
                n = gr.Slider(1, MAX_IMAGES, value=4, step=1, label="Pictures")
                seed = add_seed()
            more = _add_more_settings(model)
            with gr.Row():
                start = gr.Button("Draw", variant="primary", min_width=100)
                stop = gr.Button("Stop", min_width=100)
            status = add_status("Pictures appear row by row.")
        with gr.Column(min_width=300):
            images = add_gallery("Pictures", site.drawings)
            picked = add_picked(images, site.drawings[0][0] if site.drawings else None)
            buttons = add_send_buttons(site)
    components = {"prompt": prompt, "n": n, "seed": seed, **more}
    settings = {name: components[name] for name in SETTINGS if name in components}
    run = runs.add([start.click, prompt.submit], Draw(model).draw, list(settings.values()), [images, status])
    runs.add_stop([stop.click], [status])
    run.then(lambda drawn: drawn[0][0] if drawn else None, images, picked, show_progress="hidden",
             api_visibility="private")  # fmt: skip
    return Tab(
        status, Source(picked, lambda path: path, buttons), settings=settings, runs=[run], results=images
    )


def add_seed() -> gr.Number:
    """Add the number of a seed, with a button that throws another one."""
    with gr.Column(min_width=130):
        seed = gr.Number(0, label="Seed", precision=0, minimum=0)
        gr.Button("Random seed", size="sm", min_width=90).click(
            None, None, seed, js="() => Math.floor(Math.random() * 2 ** 31)"
        )
    return seed


def _add_more_settings(model: UniTok) -> dict[str, gr.components.Component]:
    """Add the settings that are folded away; height and width only if the model draws several sizes."""
    defaults, modality = model.sampling["image"], model.codec.image
    with gr.Accordion("More settings", open=False):
        more = {
            "negative": gr.Textbox("", label="Negative prompt (works where guidance is more than 1)"),
            "best_of": gr.Slider(
                1, 16, value=1, step=1, label="Samples a picture; the one that fits best stays"
            ),
            "guidance": gr.Slider(
                0, 10, value=defaults.guidance_scale, step=0.1, label="Guidance (1 is none)"
            ),
            "temperature": gr.Slider(
                0, 2, value=defaults.temperature, step=0.05, label="Temperature (0 is greedy)"
            ),
            "top_p": gr.Slider(
                0.05,
                1,
                value=defaults.top_p or 1,
                step=0.05,
                label="Top-p: share of the likeliest codes (1: all)",
            ),
        }
        if modality.shape is None:
            cell = modality.tokenizer.cell
            more |= {
                name: gr.Slider(
                    0, modality.max_side * cell, value=0, step=cell,
                    label=f"{name.title()} in pixels (0: the model chooses)",
                )
                for name in ("height", "width")
            }  # fmt: skip
    return more
