"""The Describe tab: captions, answers, boxes and points. Knows a model's public calls alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import gradio as gr
from PIL import Image

from unitok.api.previews import Update
from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.modalities.geometry import Box, Point
from unitok.page import examples
from unitok.page.example_buttons import add_example_buttons
from unitok.page.image_input import add_image_input, on_upload
from unitok.page.model_view import enlarged_shown_view, shown_view
from unitok.page.overlay import draw_places
from unitok.page.runs import Runs
from unitok.page.served_images import serve_image
from unitok.page.status import add_status, report_errors
from unitok.page.tab import Site, Source, Tab, Taker, add_send_buttons
from unitok.page.throttle import throttle

ASKING = ("questions", "boxes")
TASKS = ("captions", *ASKING)
MAX_SEGMENTS = 8  # of one answer


@dataclass(frozen=True)
class Describe:
    """Event handlers of the tab."""

    model: UniTok

    @report_errors(2)
    def caption(self, image: str | Image.Image | None, *text: float) -> Iterator[tuple[str, str, str]]:
        """Caption an image, `text` as in `_stream`: yields the image, the caption so far, and the status."""
        yield from self._stream(image, (), *text, target="text")

    @report_errors(2)
    def ask(
        self, image: str | Image.Image | None, question: str, *text: float
    ) -> Iterator[tuple[str, str, str]]:
        """Answer a question: yields the image with boxes and points, the answer's text, and the status."""
        if not question.strip():
            raise ValueError("Ask something about the picture, or press Caption.")
        yield from self._stream(image, (Segment("text", question.strip()),), *text, target=None)

    def _stream(
        self,
        image: str | Image.Image | None,
        question: Document,
        temperature: float | None = None,
        length: float | None = None,
        seed: float = 0,
        *,
        target: str | None,
    ) -> Iterator[tuple[str, str, str]]:
        view = shown_view(self.model, image)
        document = (Segment("image", view), *question)
        complete: list[Update] = []
        settings = {"temperature": temperature, "max_new_tokens": length and int(length), "seed": int(seed)}
        stream = self.model.stream(document, target=target, max_segments=MAX_SEGMENTS, **settings)
        for update in throttle(stream):
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


def add_tab(site: Site) -> Tab:
    """Add the tab to the page."""
    model, runs = site.model, Runs(site.queue)
    captions, asking = not model.unlearned("captions"), not model.unlearned(*ASKING)
    with gr.Row():
        with gr.Column(min_width=300):
            image = add_image_input(model, height=300)
            with gr.Column(visible=asking):
                question = gr.Textbox("", label="Question", placeholder=examples.questions(model)[0])
                add_example_buttons({text: text for text in examples.questions(model)}, question)
            text = _add_text_settings(model)
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
                label="What the model sees, with boxes and points", elem_id="seen-image",
                interactive=False, format="png",
                height=300, buttons=["download"],
            )  # fmt: skip
            buttons = add_send_buttons(site)
    handlers, outputs = Describe(model), [marked, answer, status]
    events = [
        runs.add([caption.click], handlers.caption, [image, *text.values()], outputs),
        runs.add([ask.click, question.submit], handlers.ask, [image, question, *text.values()], outputs),
    ]
    runs.add_stop([stop.click], [status])
    show = partial(_show, model)
    on_upload(image, show, [image], status=status, answers=[marked, answer])
    settings = {"question": question, **text} if asking else text
    return Tab(
        status,
        Source(image, lambda path: path, buttons),
        Taker([image, marked, answer], lambda path: (*show(path), None, None)),
        settings=settings,
        runs=events,
    )


def _add_text_settings(model: UniTok) -> dict[str, gr.components.Component]:
    """Add the settings of the text, which are folded away."""
    defaults = model.sampling["text"]
    with gr.Accordion("More settings", open=False):
        return {
            "temperature": gr.Slider(
                0, 2, value=defaults.temperature, step=0.05, label="Temperature (0 is greedy)"
            ),
            "length": gr.Slider(
                1, 512, value=defaults.max_new_tokens, step=1, label="Length: most tokens of a text"
            ),
            "seed": gr.Number(0, label="Seed (for temperatures above 0)", precision=0, minimum=0),
        }


def _show(model: UniTok, path: str) -> tuple[str]:
    return (serve_image(enlarged_shown_view(model, path)),)
