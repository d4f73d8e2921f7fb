"""POST /v1/chat/completions: answers conversations in text and images. Knows schemas and jobs, no ids."""

import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from PIL import Image

from unitok.api.unitok import UniTok
from unitok.document import Document
from unitok.generation.requests import Request as EngineRequest
from unitok.server import image_io
from unitok.server.http.errors import ApiError
from unitok.server.http.thread_pool import Deadline
from unitok.server.jobs import Done, Progress
from unitok.server.pending_job import PendingJob
from unitok.server.readable import leave_out, warning_fields
from unitok.server.schemas import ChatRequest, Message
from unitok.server.state import ServerState, complete, seed_or_random, stream
from unitok.server.stop_sequences import without_partial_stop

router = APIRouter()


@router.post("/v1/chat/completions", response_class=JSONResponse)
async def chat(request: Request, body: ChatRequest) -> Response:
    """Continue a conversation in the modalities of the request."""
    state: ServerState = request.app.state.server
    state.check_model(body.model)
    state.check_modalities(body.modalities)
    messages, warnings = leave_out(body.messages, body.modalities, state.model)
    deadline = state.deadline()
    document = await read_conversation(request, messages, name="messages", deadline=deadline)
    seed = seed_or_random(body.seed)
    job = PendingJob(
        state.worker,
        "chat",
        partial(_prepare, document, body, seed),
        deadline=deadline,
        copies=body.n,
        stream_text=body.stream,
        stops=body.stops,
    )
    completion = Completion(state, seed, warnings, as_parts=body.target is None)
    if body.stream:
        usage = body.stream_options.include_usage
        return await stream(job, request.receive, completion.chunks(job, body.stops, usage=usage))
    copies = await complete(job, request.receive)
    return JSONResponse(await state.encoders.run(completion.response, copies, deadline=deadline))


async def read_conversation(
    request: Request, messages: Sequence[Message], *, name: str, start: int = 0, deadline: Deadline
) -> Document:
    """Decode the images of messages and build the prompt; `name` and `start` as in image_io.image_urls.

    Raises:
        ApiError: an image is invalid, there are too many, or the messages are empty.
    """
    state, images = request.app.state.server, []
    for field_path, url in image_io.image_urls(messages, name=name, start=start):
        work = partial(image_io.read_data_uri, url, state.model.codec, param=field_path)
        images.append(await state.decode(request.receive, work, deadline=deadline))
    return image_io.build_document(messages, state.model.chat, images)


def _prepare(document: Document, body: ChatRequest, seed: int, model: UniTok) -> EngineRequest:
    image_io.check_length(document, model)
    return model.request(
        document, target=body.target, seed=seed, max_new_tokens=body.max_new_tokens, **body.sampling
    )


@dataclass
class Completion:
    """A chat completion in OpenAI's format.

    Images are `images` of the message, as data URIs; with `as_parts`, content with images in it is a list of
    parts, too, in the order in which they were generated. `warnings` of the answer name what was left out of
    the conversation, or never learned.
    """

    state: ServerState
    seed: int
    warnings: Sequence[str] = ()
    as_parts: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def response(self, copies: Sequence[Done]) -> dict:
        """The body of a response that is not streamed."""
        choices = [
            {
                "index": done.copy,
                "message": self._message(done.document),
                "finish_reason": done.reason,
                "logprobs": None,
            }
            for done in copies
        ]
        return {
            **self._head("chat.completion"),
            "choices": choices,
            "usage": _usage(copies),
            "seed": self.seed,
            **warning_fields(*self.warnings),
        }

    def _message(self, document: Document) -> dict:
        """Merge all segments into one message: the texts of all but images joined, images beside them."""
        parts = [self._message_part(segment.modality, segment.content) for segment in document]
        texts = [part["text"] for part in parts if part["type"] == "text"]
        images = [part for part in parts if part["type"] != "text"]
        content: str | list | None = "".join(texts) if texts else None
        if images and self.as_parts:
            content = parts
        message = {"role": "assistant", "content": content, "refusal": None}
        return {**message, "images": images} if images else message

    def _message_part(self, modality: str, content: Any) -> dict:
        """Convert a segment's content to a part of a message."""
        if isinstance(content, Image.Image):
            url = f"data:image/png;base64,{image_io.encode_base64(content)}"
            return {"type": "image_url", "image_url": {"url": url}}
        return {"type": "text", "text": self.state.model.codec.as_text(modality, content)}

    def _head(self, kind: str) -> dict:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.state.name}

    async def chunks(self, job: PendingJob, stops: Sequence[str], *, usage: bool) -> AsyncIterator[str]:
        """The events of a stream: roles, deltas, finish reasons, and [DONE]."""
        sent, done = Counter(), []
        for copy in range(job.job.copies):
            yield self._chunk(copy, {"role": "assistant", "content": ""}, **warning_fields(*self.warnings))
        try:
            async for event in job.events():
                if isinstance(event, Progress):
                    delta = await self._delta(job, event, sent, stops)
                    if delta:
                        yield self._chunk(event.copy, delta)
                elif isinstance(event, Done):
                    done.append(event)
                    yield self._chunk(event.copy, {}, reason=event.reason)
        except ApiError as error:
            yield server_sent_event(error.content)
            return
        if usage:
            head = self._head("chat.completion.chunk")
            yield server_sent_event({**head, "choices": [], "usage": _usage(done)})
        yield "data: [DONE]\n\n"

    async def _delta(self, job: PendingJob, event: Progress, sent: Counter, stops: Sequence[str]) -> dict:
        """The new content of an update; `sent` counts the characters already sent of each copy's text."""
        update, copy = event.update, event.copy
        if update.modality != "text":
            part = await self.state.encoders.run(
                self._message_part, update.modality, update.content, deadline=job.deadline
            )
            return {"content": part["text"]} if part["type"] == "text" else {"images": [part]}
        text = update.content if update.done else without_partial_stop(update.content, stops)
        new = text[sent[copy] :]
        sent[copy] = 0 if update.done else max(sent[copy], len(text))
        return {"content": new} if new else {}

    def _chunk(self, copy: int, delta: dict, *, reason: str | None = None, **more: Any) -> str:
        choice = {"index": copy, "delta": delta, "finish_reason": reason, "logprobs": None}
        return server_sent_event({**self._head("chat.completion.chunk"), "choices": [choice], **more})


def server_sent_event(content: dict, *, name: str | None = None) -> str:
    """Format a server-sent event."""
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(content)}\n\n"


def _usage(copies: Sequence[Done]) -> dict:
    """Count codes as tokens: the prompt once, and all copies."""
    prompt = sum(copies[0].prompt_codes.values())
    completion = sum(sum(done.new_codes.values()) for done in copies)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
