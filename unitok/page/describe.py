"""The Describe tab: captions, answers, boxes and points. Knows a model's public calls alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr
from PIL import Image

from unitok.api.previews import Update
from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.modalities.geometry import Box, Point, write_box, write_point
from unitok.page import examples
from unitok.page.example_buttons import choices
from unitok.page.model_view import as_seen, shown
from unitok.page.overlay import with_places
from unitok.page.served_images import kept
from unitok.page.status import MODEL, alerted, status, stopped, told
from unitok.page.throttle import paced

MOST = 8  # segments of one answer


@dataclass(frozen=True)
class Describe:
    """Captions and answers."""

    model: UniTok

    @told(2)
    def caption(self, picture: str | Image.Image | None) -> Iterator[tuple[str, str, str]]:
        """The picture, its caption so far, and what is going on."""
        yield from self._written(picture, (), target="text")

    @told(2)
    def ask(self, picture: str | Image.Image | None, question: str) -> Iterator[tuple[str, str, str]]:
        """The picture with the places of the answer, the answer in words, and what is going on."""
        if not question.strip():
            raise ValueError("Ask something about the picture, or press Caption.")
        yield from self._written(picture, (Segment("text", question.strip()),), target=None)

    def _written(
        self, picture: str | Image.Image | None, asked: Document, *, target: str | None
    ) -> Iterator[tuple[str, str, str]]:
        seen = as_seen(self.model, picture)
        document = (Segment("image", seen), *asked)
        finished: list[Update] = []
        for update in paced(self.model.stream(document, target=target, max_segments=MOST)):
            finished += [update] if update.done else []
            current = finished if update.done else [*finished, update]
            yield *_answer(seen, current), "Reading …"
        said = (
            f"Done: {asked[0].content if asked else 'a caption'}"
            if finished
            else "The model has nothing to add: perhaps it has not learned questions."
        )
        yield *_answer(seen, finished), said


def _answer(seen: Image.Image, updates: list[Update]) -> tuple[str, str]:
    """The picture with all places, and a line a segment; a picture that it draws replaces the first."""
    places = [update.content for update in updates if isinstance(update.content, Box | Point)]
    drawn = [update.content for update in updates if isinstance(update.content, Image.Image)]
    lines, count = [], 0
    for content in (update.content for update in updates):
        if isinstance(content, Box | Point):
            count += 1
            lines.append(
                f"{count}: " + (write_box(content) if isinstance(content, Box) else write_point(content, ""))
            )
        elif isinstance(content, str):
            lines.append(content)
    return kept(with_places(drawn[-1] if drawn else seen, places)), "\n".join(lines)


def tab(model: UniTok) -> None:
    """Add the tab to the page that is being built."""
    scenes = examples.pictures(model)
    with gr.Row():
        with gr.Column(min_width=300):
            picture = gr.Image(
                scenes[0],
                label="Picture",
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard"],
                format="png",
                height=300,
            )
            choices({f"Example {k}": kept(scene) for k, scene in enumerate(scenes, 1)}, picture)
            question = gr.Textbox(label="Question", placeholder="what color is the star?")
            choices({text: text for text in examples.questions(model)}, question)
            with gr.Row():
                caption = gr.Button("Caption", variant="primary", min_width=90)
                ask = gr.Button("Ask", min_width=90)
                stop = gr.Button("Stop", min_width=90)
            said = status("Press Caption, or ask something.")
        with gr.Column(min_width=300):
            answer = gr.Textbox(label="Answer", lines=2, interactive=False, placeholder="Nothing yet.")
            marked = gr.Image(
                label="What the model sees, with boxes and points", interactive=False, format="png",
                height=300, buttons=["download"],
            )  # fmt: skip
    work = Describe(model)
    outputs, hidden = [marked, answer, said], {"show_progress": "hidden", **MODEL}
    runs = [
        caption.click(work.caption, picture, outputs, **hidden),
        gr.on([ask.click, question.submit], work.ask, [picture, question], outputs, **hidden),
    ]
    picture.upload(alerted(shown, model), picture, picture, api_visibility="private")
    stop.click(stopped, None, said, cancels=runs, queue=False, api_visibility="private")
