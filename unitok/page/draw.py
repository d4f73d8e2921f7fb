"""The Draw tab: images from a prompt, row by row. Knows a model's public calls alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr

from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.page import examples
from unitok.page.example_buttons import choices
from unitok.page.overlay import enlarged
from unitok.page.served_images import kept
from unitok.page.status import MODEL, gallery, status, stopped, told
from unitok.page.throttle import paced

MOST = 8  # pictures of one prompt


@dataclass(frozen=True)
class Draw:
    """Draws; the pictures of one prompt have the seeds `seed`, `seed` + 1, …"""

    model: UniTok

    @told(1)
    def draw(
        self,
        prompt: str,
        n: float,
        seed: float,
        guidance: float,
        temperature: float,
        *size: float,
    ) -> Iterator[tuple[list[str], str]]:
        """The pictures so far, and what is going on."""
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
            for update in paced(updates):
                pictures = [*done, kept(enlarged(update.content))]
                yield pictures, f"Drawing {k + 1} of {int(n)} …"
            done = pictures
        last = int(seed) + len(done) - 1
        again = f"Seeds {int(seed)} to {last} draw these" if len(done) > 1 else f"Seed {last} draws this"
        yield done, f"Done. {again} again."


def tab(model: UniTok) -> None:
    """Add the tab to the page that is being built."""
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
            choices({text: text for text in examples.prompts(model)}, prompt)
            with gr.Row():
                n = gr.Slider(1, MOST, value=4, step=1, label="Pictures")
                seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            with gr.Accordion("More settings", open=False):
                guidance = gr.Slider(
                    0, 10, value=defaults.guidance_scale, step=0.1, label="Guidance (1 is none)"
                )
                temperature = gr.Slider(
                    0, 2, value=defaults.temperature, step=0.05, label="Temperature (0 takes the likeliest)"
                )
                size = _sizes(model)
            with gr.Row():
                go = gr.Button("Draw", variant="primary", min_width=100)
                stop = gr.Button("Stop", min_width=100)
            said = status("Pictures appear row by row.")
        with gr.Column(min_width=300):
            pictures = gallery("Pictures")
    work = Draw(model)
    started = gr.on(
        [go.click, prompt.submit],
        work.draw,
        [prompt, n, seed, guidance, temperature, *size],
        [pictures, said],
        show_progress="hidden",
        **MODEL,
    )
    stop.click(stopped, None, said, cancels=[started], queue=False, api_visibility="private")


def _sizes(model: UniTok) -> list[gr.Slider]:
    """Height and width, where the model has a choice; 0 leaves it to the model."""
    image = model.codec.modalities["image"]
    if image.shape is not None:
        return []
    cell = image.tokenizer.cell
    return [
        gr.Slider(
            0, image.max_side * cell, value=0, step=cell, label=f"{name} in pixels (0: the model chooses)"
        )
        for name in ("Height", "Width")
    ]
