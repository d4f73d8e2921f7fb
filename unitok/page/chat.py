"""The Chat tab: text and images both ways, streamed. Knows a model's public calls alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import gradio as gr
from PIL import Image

from unitok.api.previews import Update
from unitok.api.unitok import UniTok
from unitok.chat_template import Turn
from unitok.data.files.images import load_image
from unitok.document import Document, Segment
from unitok.modalities.geometry import Box, Point, write_box, write_point
from unitok.page import examples
from unitok.page.example_buttons import choices
from unitok.page.overlay import enlarged, with_places
from unitok.page.served_images import kept
from unitok.page.status import MODEL, line, status, told
from unitok.page.throttle import paced

MOST = 8  # segments of one answer


@dataclass(frozen=True)
class Conversation:
    """What was said so far; once the model has ended the document, the next message begins a new one."""

    document: Document = ()
    ended: bool = False
    seed: int = 0
    shown: tuple[dict, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Talk:
    """Answers."""

    model: UniTok

    @told(3)
    def say(self, message: dict | None, past: Conversation) -> Iterator[tuple]:
        """The messages, the next input, the conversation, and what is going on."""
        segments = _segments(message or {})
        if not segments:
            raise ValueError("Write something, or show a picture.")
        before = () if past.ended else past.document
        document = self.model.chat.prompt([Turn("user", segments)], past=before)
        yield from self._answer(past, segments, document, target=None)

    @told(3)
    def draw(self, past: Conversation) -> Iterator[tuple]:
        """The same with a picture as the answer, whatever the model would rather do."""
        yield from self._answer(past, (), self.model.chat.prompt(past=past.document), target="image")

    def _answer(
        self, past: Conversation, said: Document, document: Document, *, target: str | None
    ) -> Iterator[tuple]:
        messages = [*past.shown, *(_message("user", segment.content) for segment in said)]
        yield messages, None, gr.skip(), "Answering …"
        written: list[Update] = []
        for update in paced(self.model.stream(document, target=target, seed=past.seed, max_segments=MOST)):
            written += [update] if update.done else []
            current = written if update.done else [*written, update]
            answers = [_message("assistant", _seen(u.content, document)) for u in current]
            yield [*messages, *answers], gr.skip(), gr.skip(), "Answering …"
        if not written:
            messages.append(_message("assistant", "(nothing to add)"))
        messages += [_message("assistant", _seen(u.content, document)) for u in written]
        now = Conversation(
            (*document, *(Segment(u.modality, u.content) for u in written)),
            ended=target is None and len(written) < MOST,
            seed=past.seed + 1,
            shown=tuple(messages),
        )
        over = " The model ended the document: the next message begins a new one." if now.ended else ""
        yield messages, gr.skip(), now, f"Done.{over}"


def _segments(message: dict) -> Document:
    """What a message holds: its pictures, then its text."""
    pictures = [Segment("image", load_image(path)) for path in message.get("files") or ()]
    text = (message.get("text") or "").strip()
    return (*pictures, *([Segment("text", text)] if text else []))


def _seen(content: str | Image.Image | Box | Point, document: Document) -> str | Image.Image:
    """A place as the newest picture with it, or as text where there is none."""
    if not isinstance(content, Box | Point):
        return content
    pictures = [segment.content for segment in document if segment.modality == "image"]
    if pictures:
        return with_places(pictures[-1], [content])
    return write_box(content) if isinstance(content, Box) else write_point(content, "")


def _message(role: str, content: str | Image.Image) -> dict:
    if isinstance(content, Image.Image):
        small = kept(enlarged(content, side=192))
        content = gr.Image(small, show_label=False, interactive=False, buttons=[], height=200)
    return {"role": role, "content": content}


def tab(model: UniTok) -> None:
    """Add the tab to the page that is being built."""
    past = gr.State(Conversation())
    messages = gr.Chatbot(
        label="Conversation", height=420, buttons=[], layout="bubble", render_markdown=False,
        feedback_options=None, allow_tags=False,
        placeholder="Write, or show a picture: the model goes on with text or pictures as it likes.",
    )  # fmt: skip
    entry = gr.MultimodalTextbox(
        label="Message", show_label=False, file_types=["image"], sources=["upload"],
        placeholder="Write, then Enter; the clip shows it a picture",
    )  # fmt: skip
    choices({text: {"text": text, "files": []} for text in examples.prompts(model)[:3]}, entry)
    with gr.Row():
        draw, stop, new = (gr.Button(name, min_width=90) for name in ("Draw now", "Stop", "Start anew"))
    said = status("Enter sends; Draw now has it draw next.")
    work = Talk(model)
    outputs, hidden = [messages, entry, past, said], {"show_progress": "hidden", **MODEL}
    runs = [
        entry.submit(work.say, [entry, past], outputs, **hidden),
        draw.click(work.draw, past, outputs, **hidden),
    ]
    stop.click(_stopped, past, [messages, said], cancels=runs, queue=False, api_visibility="private")
    gr.on(
        [new.click, messages.clear],
        lambda: ([], None, Conversation(), ""),
        None,
        outputs,
        cancels=runs,
        api_visibility="private",
    )


def _stopped(past: Conversation) -> tuple[list[dict], str]:
    return list(past.shown), line("Stopped; that message is forgotten.")
