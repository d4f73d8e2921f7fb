"""The Chat tab: text and images both ways, streamed. Knows a model's public calls alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from PIL import Image

from unitok.api.previews import Update
from unitok.api.unitok import UniTok
from unitok.chat_template import Turn
from unitok.document import Document, Segment
from unitok.modalities.geometry import Box, Point
from unitok.page import examples
from unitok.page.example_buttons import add_example_buttons
from unitok.page.model_view import read_image
from unitok.page.overlay import draw_places, enlarge
from unitok.page.runs import STOPPED, Runs
from unitok.page.served_images import serve_image
from unitok.page.status import add_status, report_errors, status_line
from unitok.page.tab import Site, Source, Tab, Taker, add_send_buttons
from unitok.page.throttle import throttle

TASKS = ("chat",)
MAX_SEGMENTS = 8  # of one answer


@dataclass(frozen=True)
class Conversation:
    """A conversation so far; once the model has ended the document, the next message begins a new one."""

    document: Document = ()
    ended: bool = False
    seed: int = 0
    messages: tuple[dict, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Chat:
    """Event handlers of the tab."""

    model: UniTok

    @report_errors(3)
    def send(self, message: dict | None, past: Conversation) -> Iterator[tuple]:
        """Answer a message: yields the messages, the next input, the conversation, and the status."""
        segments = _segments(message or {})
        if not segments:
            raise ValueError("Write something, or upload a picture.")
        before = () if past.ended else past.document
        document = self.model.chat.prompt([Turn("user", segments)], past=before)
        yield from self._answer(past, segments, document, target=None)

    @report_errors(3)
    def draw(self, past: Conversation) -> Iterator[tuple]:
        """Answer with an image, whatever the model would choose."""
        yield from self._answer(past, (), self.model.chat.prompt(past=past.document), target="image")

    def _answer(
        self, past: Conversation, sent: Document, document: Document, *, target: str | None
    ) -> Iterator[tuple]:
        messages = [*past.messages, *(_message("user", segment.content) for segment in sent)]
        yield messages, None, gr.skip(), "Answering …"
        complete: list[Update] = []
        stream = self.model.stream(document, target=target, seed=past.seed, max_segments=MAX_SEGMENTS)
        for update in throttle(stream):
            complete += [update] if update.done else []
            current = complete if update.done else [*complete, update]
            answers = [_message("assistant", self._displayed(u, document)) for u in current]
            yield [*messages, *answers], gr.skip(), gr.skip(), "Answering …"
        if not complete:
            messages.append(_message("assistant", "(nothing to add)"))
        messages += [_message("assistant", self._displayed(u, document)) for u in complete]
        now = Conversation(
            (*document, *(Segment(u.modality, u.content) for u in complete)),
            ended=target is None and len(complete) < MAX_SEGMENTS,
            seed=past.seed + 1,
            messages=tuple(messages),
        )
        hint = " The model ended the document: the next message begins a new one." if now.ended else ""
        yield messages, gr.skip(), now, f"Done.{hint}"

    def _displayed(self, update: Update, document: Document) -> str | Image.Image:
        """An image; a box or point, drawn onto the most recent image if there is one; else text."""
        images = [segment.content for segment in document if segment.modality == "image"]
        if isinstance(update.content, Box | Point) and images:
            return draw_places(images[-1], [update.content])
        if isinstance(update.content, Image.Image):
            return update.content
        return self.model.codec.as_text(update.modality, update.content)


def _segments(message: dict) -> Document:
    """The segments of a message: its images, then its text."""
    images = [Segment("image", read_image(path)) for path in message.get("files") or ()]
    text = (message.get("text") or "").strip()
    return (*images, *([Segment("text", text)] if text else []))


def _message(role: str, content: str | Image.Image) -> dict:
    if isinstance(content, Image.Image):
        small = serve_image(enlarge(content, side=192))
        content = gr.Image(small, show_label=False, interactive=False, buttons=[], height=200)
    return {"role": role, "content": content}


def add_tab(site: Site) -> Tab:
    """Add the tab to the page."""
    model, runs = site.model, Runs(site.queue)
    past = gr.State(Conversation())
    messages = gr.Chatbot(
        label="Conversation", height=420, buttons=[], layout="bubble", render_markdown=False,
        feedback_options=None, allow_tags=False,
        placeholder="Write, or upload a picture: the model answers with text or pictures.",
    )  # fmt: skip
    entry = gr.MultimodalTextbox(
        label="Message", show_label=False, file_types=["image"], sources=["upload"],
        placeholder="Write a message; the clip uploads a picture",
    )  # fmt: skip
    entry.preprocess = _read_entry
    add_example_buttons({text: {"text": text, "files": []} for text in examples.prompts(model)[:3]}, entry)
    with gr.Row():
        draw, stop, new = (gr.Button(name, min_width=90) for name in ("Draw now", "Stop", "New conversation"))
    status = add_status("Enter sends the message; Draw now asks for a picture.")
    buttons = add_send_buttons(site)
    handlers, outputs = Chat(model), [messages, entry, past, status]
    runs.add([entry.submit], handlers.send, [entry, past], outputs)
    runs.add([draw.click], handlers.draw, [past], outputs)
    runs.add_stop([stop.click], [messages, status], inputs=[past], after=_report_stop)
    runs.add_stop(
        [new.click, messages.clear], outputs, after=lambda: ([], None, Conversation(), "")
    )  # fmt: skip
    return Tab(
        status,
        Source(past, _latest_image, buttons),
        Taker([entry], lambda path: [{"text": "", "files": [path]}]),
    )


def _read_entry(payload: Any) -> dict | None:
    """A message with its files' paths: Gradio refuses foreign files itself, and prints a traceback."""
    return payload and {"text": payload.text, "files": [file.path for file in payload.files]}


def _latest_image(past: Conversation) -> str | None:
    images = [segment.content for segment in past.document if segment.modality == "image"]
    return serve_image(enlarge(images[-1])) if images else None


def _report_stop(past: Conversation) -> tuple[list[dict], str]:
    return list(past.messages), status_line(f"{STOPPED} The message was discarded.")
