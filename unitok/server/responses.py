"""POST /v1/responses: answers in text and images by the API that agents' libraries call. Knows no ids.

Nothing is stored: a client sends the whole conversation, with the items of earlier answers.
https://platform.openai.com/docs/api-reference/responses
"""

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from PIL import Image

from unitok.api.previews import Update
from unitok.api.unitok import UniTok
from unitok.document import Document
from unitok.generation.requests import Request as EngineRequest
from unitok.server import image_io
from unitok.server.chat import read_conversation, server_sent_event
from unitok.server.http.errors import ApiError
from unitok.server.images import check_size
from unitok.server.jobs import Done, Progress
from unitok.server.pending_job import PendingJob
from unitok.server.readable import leave_out, warning_fields
from unitok.server.response_schemas import ResponseRequest
from unitok.server.state import ServerState, complete, seed_or_random, stream

router = APIRouter()


@router.post("/v1/responses", response_class=JSONResponse)
async def responses(request: Request, body: ResponseRequest) -> Response:
    """Answer the input in the modalities of the request."""
    state: ServerState = request.app.state.server
    state.check_model(body.model)
    state.check_modalities(body.asked)
    check_size(body.tool, state.image_modality)
    deadline, seed = state.deadline(), seed_or_random(body.seed)
    messages, warnings = leave_out(body.messages, body.asked, state.model)
    start = -1 if body.instructions else 0
    document = await read_conversation(request, messages, name="input", start=start, deadline=deadline)
    job = PendingJob(
        state.worker,
        "response",
        partial(_prepare, document, body, seed),
        deadline=deadline,
        stream_text=body.stream,
        previews=body.tool.partial_images if body.stream else 0,
    )
    answer = Answer(state, body, seed, warnings)
    if body.stream:
        return await stream(job, request.receive, answer.events(job))
    (done,) = await complete(job, request.receive)
    return JSONResponse(await state.encoders.run(answer.response, done, deadline=deadline))


def _prepare(document: Document, body: ResponseRequest, seed: int, model: UniTok) -> EngineRequest:
    image_io.check_length(document, model)
    return model.request(
        document,
        target=body.target,
        seed=seed,
        size=body.tool.shape,
        max_new_tokens=body.max_output_tokens,
        **body.sampling,
    )


@dataclass
class Answer:
    """A response in OpenAI's format: an item for each segment, a message or an image.

    `warnings` name what was left out of the conversation, or never learned.
    """

    state: ServerState
    body: ResponseRequest
    seed: int
    warnings: Sequence[str] = ()
    id: str = field(default_factory=lambda: f"resp_{secrets.token_hex(16)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def response(self, done: Done) -> dict:
        """The body of a response that is not streamed."""
        items = [self._item(number, s.modality, s.content) for number, s in enumerate(done.document)]
        return self._response(items, done)

    def _response(self, items: Sequence[dict], done: Done | None) -> dict:
        """The response so far; complete with `done`."""
        body, cut = self.body, done is not None and done.reason == "length"
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": "in_progress" if done is None else "incomplete" if cut else "completed",
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "model": self.state.name,
            "output": list(items),
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "store": False,
            "temperature": body.temperature,
            "text": {"format": {"type": "text"}},
            "tool_choice": body.model_dump()["tool_choice"],
            "tools": [{"type": tool.type, "output_format": tool.output_format} for tool in body.tools],
            "top_p": body.top_p,
            "truncation": "disabled",
            "usage": None if done is None else _usage(done),
            "seed": self.seed,
            **warning_fields(*self.warnings),
        }

    def _item(self, number: int, modality: str, content: Any) -> dict:
        """A complete segment as an item."""
        if isinstance(content, Image.Image):
            return self._image(number, content)
        return self._message(number, self.state.model.codec.as_text(modality, content))

    def _message(self, number: int, text: str | None) -> dict:
        """A text as an item; None is one that begins."""
        return {
            "id": self._item_id("msg", number),
            "type": "message",
            "role": "assistant",
            "status": "in_progress" if text is None else "completed",
            "content": [] if text is None else [_text_part(text)],
        }

    def _image(self, number: int, image: Image.Image | None) -> dict:
        """An image as an item; None is one that begins."""
        format = self.body.tool.output_format
        item = {
            "id": self._item_id("ig", number),
            "type": "image_generation_call",
            "status": "in_progress" if image is None else "completed",
            "result": None if image is None else image_io.encode_base64(image, format),
            "output_format": format,
        }
        return item if image is None else {**item, "size": f"{image.width}x{image.height}"}

    def _item_id(self, kind: str, number: int) -> str:
        return f"{kind}_{self.id.removeprefix('resp_')}_{number}"

    async def events(self, job: PendingJob) -> AsyncIterator[str]:
        """The events of a stream, each with its number."""
        number = 0
        async for kind, fields in self._events(job):
            yield server_sent_event({"type": kind, "sequence_number": number, **fields}, name=kind)
            number += 1

    async def _events(self, job: PendingJob) -> AsyncIterator[tuple[str, dict]]:
        items: list[dict] = []
        for kind in ("created", "in_progress"):
            yield f"response.{kind}", {"response": self._response((), None)}
        opened: OpenItem | None = None
        try:
            async for event in job.events():
                if isinstance(event, Progress):
                    if opened is None:
                        opened = self._open(len(items), event.update)
                        for named in opened.begin():
                            yield named
                    encoded = await self._encode(job, len(items), event.update)
                    for named in opened.grow(encoded, done=event.update.done):
                        yield named
                    if event.update.done:
                        items.append(encoded)
                        opened = None
                elif isinstance(event, Done):
                    response = self._response(items, event)
                    yield f"response.{response['status']}", {"response": response}
        except ApiError as error:
            content = error.content["error"]
            yield "error", {name: content[name] for name in ("code", "message", "param")}

    async def _encode(self, job: PendingJob, number: int, update: Update) -> dict:
        """The item of an update; images are encoded in a thread."""
        if not isinstance(update.content, Image.Image):
            return self._item(number, update.modality, update.content)
        return await self.state.encoders.run(self._image, number, update.content, deadline=job.deadline)

    def _open(self, number: int, update: Update) -> "OpenItem":
        if isinstance(update.content, Image.Image):
            return OpenImage(number, self._image(number, None))
        return OpenMessage(number, self._message(number, None))


@dataclass
class OpenItem(ABC):
    """An item that is being streamed: its number in the output, and how it began."""

    number: int
    item: dict

    @property
    def place(self) -> dict:
        """The fields by which events name the item."""
        return {"output_index": self.number, "item_id": self.item["id"]}

    def begin(self) -> list[tuple[str, dict]]:
        """The events of its beginning."""
        return [("response.output_item.added", {"output_index": self.number, "item": self.item})]

    @abstractmethod
    def grow(self, item: dict, *, done: bool) -> list[tuple[str, dict]]:
        """The events of its growth to `item`, and if it is done, of its end."""


@dataclass
class OpenMessage(OpenItem):
    """A text that is being streamed; `sent` counts the characters that were sent."""

    sent: int = 0

    @property
    def place(self) -> dict:
        """The fields by which events name the only part of the message."""
        return {**super().place, "content_index": 0}

    def begin(self) -> list[tuple[str, dict]]:
        """The events of its beginning."""
        return [*super().begin(), ("response.content_part.added", {**self.place, "part": _text_part("")})]

    def grow(self, item: dict, *, done: bool) -> list[tuple[str, dict]]:
        """The new text, and the end."""
        (part,) = item["content"]
        text, named = part["text"], []
        if new := text[self.sent :]:
            named.append(("response.output_text.delta", {**self.place, "delta": new, "logprobs": []}))
            self.sent = len(text)
        if done:
            named += [
                ("response.output_text.done", {**self.place, "text": text, "logprobs": []}),
                ("response.content_part.done", {**self.place, "part": part}),
                ("response.output_item.done", {"output_index": self.number, "item": item}),
            ]
        return named


@dataclass
class OpenImage(OpenItem):
    """An image that is being streamed; `previews` counts those that were sent."""

    previews: int = 0

    def begin(self) -> list[tuple[str, dict]]:
        """The events of its beginning."""
        kinds = (f"response.image_generation_call.{kind}" for kind in ("in_progress", "generating"))
        return [*super().begin(), *((kind, self.place) for kind in kinds)]

    def grow(self, item: dict, *, done: bool) -> list[tuple[str, dict]]:
        """A preview, or the end."""
        if done:
            return [
                ("response.image_generation_call.completed", self.place),
                ("response.output_item.done", {"output_index": self.number, "item": item}),
            ]
        preview = {
            "partial_image_b64": item["result"],
            "partial_image_index": self.previews,
            "output_format": item["output_format"],
            "size": item["size"],
        }
        self.previews += 1
        return [("response.image_generation_call.partial_image", {**self.place, **preview})]


def _text_part(text: str) -> dict:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(done: Done) -> dict:
    """Count codes as tokens."""
    prompt, new = sum(done.prompt_codes.values()), sum(done.new_codes.values())
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": new,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + new,
    }
