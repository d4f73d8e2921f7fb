"""The Draw tab: images from a prompt, row by row. Knows a model's public calls alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr

from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.page import examples
from unitok.page.example_buttons import add_example_buttons
from unitok.page.overlay import enlarge
from unitok.page.served_images import serve_image
from unitok.page.status import RUNS_MODEL, add_gallery, add_status, report_errors, report_stop
from unitok.page.throttle import throttle

MAX_IMAGES = 8  # of one prompt


TASKS = ("drawings", "images")


@dataclass(frozen=True)
class Draw:
    """Event handlers of the tab; the images of a prompt have the seeds `seed`, `seed` + 1, …"""

    model: UniTok

    @report_errors(1)
    def draw(
        self,
        prompt: str,
        n: float,
        seed: float,
        guidance: float,
        temperature: float,
        *size: float,
    ) -> Iterator[tuple[list[str], str]]:
        """Draw images: yields those so far, and the status."""
        if not prompt.strip():
            raise ValueError("Say what to draw, or choose an example.")
        done: list[str] = []
        for k in range(int(n)):
            updates = self.model.stream(
                (Segment("text", prompt.strip()),),
                target="image",
                seed=int(seed) + k,
                size=tuple(map(int, size)) if any(size) else None,
                guidance_scale=guidance,
                temperature=temperature,
            )
            for update in throttle(updates):
                images = [*done, serve_image(enlarge(update.content))]
                yield images, f"Drawing {k + 1} of {int(n)} …"
            done = images
        last = int(seed) + len(done) - 1
        seeds = f"Seeds {int(seed)} to {last} draw these" if len(done) > 1 else f"Seed {last} draws this"
        yield done, f"Done. {seeds} again."


def add_tab(model: UniTok) -> None:
    """Add the tab to the page."""
    defaults = model.sampling["image"]
    with gr.Row():
        with gr.Column(min_width=300):
            prompt = gr.Textbox(
                label="What to draw",
                value=examples.prompts(model)[0],
                lines=1,
                max_lines=3,
                placeholder="a large red star",
                submit_btn=False,
            )
            add_example_buttons({text: text for text in examples.prompts(model)}, prompt)
            with gr.Row():
                n = gr.Slider(1, MAX_IMAGES, value=4, step=1, label="Pictures")
                seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            with gr.Accordion("More settings", open=False):
                guidance = gr.Slider(
                    0, 10, value=defaults.guidance_scale, step=0.1, label="Guidance (1 is none)"
                )
                temperature = gr.Slider(
                    0, 2, value=defaults.temperature, step=0.05, label="Temperature (0 is greedy)"
                )
                size = _add_size(model)
            with gr.Row():
                start = gr.Button("Draw", variant="primary", min_width=100)
                stop = gr.Button("Stop", min_width=100)
            status = add_status("Pictures appear row by row.")
        with gr.Column(min_width=300):
            images = add_gallery("Pictures")
    handlers = Draw(model)
    run = gr.on(
        [start.click, prompt.submit],
        handlers.draw,
        [prompt, n, seed, guidance, temperature, *size],
        [images, status],
        show_progress="hidden",
        **RUNS_MODEL,
    )
    stop.click(report_stop, None, status, cancels=[run], queue=False, api_visibility="private")


def _add_size(model: UniTok) -> list[gr.Slider]:
    """Add sliders for height and width, if the model draws several sizes."""
    modality = model.codec.image
    if modality.shape is not None:
        return []
    cell = modality.tokenizer.cell
    return [
        gr.Slider(
            0, modality.max_side * cell, value=0, step=cell, label=f"{name} in pixels (0: the model chooses)"
        )
        for name in ("Height", "Width")
    ]
