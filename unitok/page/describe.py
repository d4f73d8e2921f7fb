"""The Describe tab: captions, answers, boxes and points. Knows a model's public calls alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr
from PIL import Image

from unitok.api.previews import Update
from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.modalities.geometry import Box, Point
from unitok.page import examples
from unitok.page.example_buttons import add_example_buttons
from unitok.page.model_view import enlarged_shown_view, shown_view
from unitok.page.overlay import draw_places
from unitok.page.served_images import serve_image
from unitok.page.status import RUNS_MODEL, add_status, alert_errors, report_errors, report_stop
from unitok.page.throttle import throttle

ASKING = ("questions", "boxes")
TASKS = ("captions", *ASKING)
MAX_SEGMENTS = 8  # of one answer


@dataclass(frozen=True)
class Describe:
    """Event handlers of the tab."""

    model: UniTok

    @report_errors(2)
    def caption(self, image: str | Image.Image | None) -> Iterator[tuple[str, str, str]]:
        """Caption an image: yields the image, the caption so far, and the status."""
        yield from self._stream(image, (), target="text")

    @report_errors(2)
    def ask(self, image: str | Image.Image | None, question: str) -> Iterator[tuple[str, str, str]]:
        """Answer a question: yields the image with boxes and points, the answer's text, and the status."""
        if not question.strip():
            raise ValueError("Ask something about the picture, or press Caption.")
        yield from self._stream(image, (Segment("text", question.strip()),), target=None)

    def _stream(
        self, image: str | Image.Image | None, question: Document, *, target: str | None
    ) -> Iterator[tuple[str, str, str]]:
        view = shown_view(self.model, image)
        document = (Segment("image", view), *question)
        complete: list[Update] = []
        for update in throttle(self.model.stream(document, target=target, max_segments=MAX_SEGMENTS)):
            complete += [update] if update.done else []
            current = complete if update.done else [*complete, update]
            yield *self._answer(view, current), "Reading …"
        status = (
            f"Done: {question[0].content if question else 'a caption'}"
            if complete
            else "The model has nothing to add; it may not be trained for questions."
        )
        yield *self._answer(view, complete), status

    def _answer(self, view: Image.Image, updates: list[Update]) -> tuple[str, str]:
        """The image with boxes and points, and a line per segment; a drawn image replaces the image."""
        drawn = [update.content for update in updates if isinstance(update.content, Image.Image)]
        places, lines = [], []
        for update in updates:
            if isinstance(update.content, Image.Image):
                continue
            text = self.model.codec.as_text(update.modality, update.content)
            if isinstance(update.content, Box | Point):
                places.append(update.content)
                text = f"{len(places)}: {text}"
            lines.append(text)
        return serve_image(draw_places(drawn[-1] if drawn else view, places)), "\n".join(lines)


def add_tab(model: UniTok) -> None:
    """Add the tab to the page."""
    scenes = examples.scenes(model)
    with gr.Row():
        with gr.Column(min_width=300):
            image = gr.Image(
                scenes[0],
                label="Picture",
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard"],
                format="png",
                height=300,
            )
            add_example_buttons(
                {f"Example {k}": serve_image(scene) for k, scene in enumerate(scenes, 1)}, image
            )
            captions, asking = not model.unlearned("captions"), not model.unlearned(*ASKING)
            with gr.Column(visible=asking):
                question = gr.Textbox(label="Question", placeholder="what color is the star?")
                add_example_buttons({text: text for text in examples.questions(model)}, question)
            with gr.Row():
                caption = gr.Button("Caption", variant="primary", min_width=90, visible=captions)
                ask = gr.Button("Ask", min_width=90, visible=asking)
                stop = gr.Button("Stop", min_width=90)
            hints = {"press Caption": captions, "ask a question": asking}
            hint = ", or ".join(hint for hint, applies in hints.items() if applies)
            status = add_status(f"{hint[:1].upper()}{hint[1:]}.")
        with gr.Column(min_width=300):
            answer = gr.Textbox(label="Answer", lines=2, interactive=False, placeholder="Nothing yet.")
            marked = gr.Image(
                label="What the model sees, with boxes and points", interactive=False, format="png",
                height=300, buttons=["download"],
            )  # fmt: skip
    handlers = Describe(model)
    outputs, hidden = [marked, answer, status], {"show_progress": "hidden", **RUNS_MODEL}
    runs = [
        caption.click(handlers.caption, image, outputs, **hidden),
        gr.on([ask.click, question.submit], handlers.ask, [image, question], outputs, **hidden),
    ]
    image.upload(alert_errors(enlarged_shown_view, model), image, image, api_visibility="private")
    stop.click(report_stop, None, status, cancels=runs, queue=False, api_visibility="private")
