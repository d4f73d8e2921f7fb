"""POST /v1/chat/completions: answers conversations in text and images. Knows schemas and jobs, no ids."""

import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from PIL import Image

from unitok.api.unitok import UniTok
from unitok.document import Document
from unitok.generation.requests import Request as Writing
from unitok.modalities.geometry import Box, write_box, write_point
from unitok.server import image_io
from unitok.server.http.errors import ApiError
from unitok.server.jobs import Done, Progress
from unitok.server.pending_job import Asked
from unitok.server.schemas import ChatRequest
from unitok.server.state import Service, complete, seed_of, streamed
from unitok.server.stop_sequences import settled

router = APIRouter()


@router.post("/v1/chat/completions", response_class=JSONResponse)
async def chat(request: Request, body: ChatRequest) -> Response:
    """Go on with a conversation: `modalities` says in what, ["text"] if absent."""
    service: Service = request.app.state.service
    service.check(body.model)
    by, pictures = service.deadline(), []
    for place, url in image_io.pictures_sent(body.messages):
        work = partial(image_io.picture_of, url, service.pictures, param=place)
        pictures.append(await service.read(request.receive, work, by=by))
    document = image_io.document(body.messages, service.model.chat, pictures)
    seed = seed_of(body.seed)
    asked = Asked(
        service.worker,
        "chat",
        partial(_prepare, document, body, seed),
        by=by,
        copies=body.n,
        texts=body.stream,
        stops=body.stops,
    )
    answer = Answer(service, seed)
    if body.stream:
        usage = body.stream_options.include_usage
        return await streamed(asked, request.receive, answer.chunks(asked, body.stops, usage=usage))
    copies = await complete(asked, request.receive)
    return JSONResponse(await service.writing.run(answer.whole, copies, by=by))


def _prepare(document: Document, body: ChatRequest, seed: int, model: UniTok) -> Writing:
    image_io.check_length(document, model)
    return model.request(
        document, target=body.target, seed=seed, max_new_tokens=body.longest, **body.sampling
    )


@dataclass
class Answer:
    """An answer as OpenAI's clients read it; pictures are `images` of the message, as data URIs."""

    service: Service
    seed: int
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, copies: Sequence[Done]) -> dict:
        """The response that is no stream."""
        choices = [
            {
                "index": done.copy,
                "message": _message(done.document),
                "finish_reason": done.reason,
                "logprobs": None,
            }
            for done in copies
        ]
        return {
            **self._head("chat.completion"),
            "choices": choices,
            "usage": usage_of(copies),
            "seed": self.seed,
        }

    def _head(self, kind: str) -> dict:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.service.name}

    async def chunks(self, asked: Asked, stops: Sequence[str], *, usage: bool) -> AsyncIterator[str]:
        """The events of a stream: who speaks, pieces, why each copy ended, and [DONE]."""
        said, done = Counter(), []
        for copy in range(asked.job.copies):
            yield self._chunk(copy, {"role": "assistant", "content": ""})
        try:
            async for news in asked.news():
                if isinstance(news, Progress):
                    delta = await self._delta(asked, news, said, stops)
                    if delta:
                        yield self._chunk(news.copy, delta)
                elif isinstance(news, Done):
                    done.append(news)
                    yield self._chunk(news.copy, {}, reason=news.reason)
        except ApiError as error:
            yield event(error.content)
            return
        if usage:
            yield event({**self._head("chat.completion.chunk"), "choices": [], "usage": usage_of(done)})
        yield "data: [DONE]\n\n"

    async def _delta(self, asked: Asked, news: Progress, said: Counter, stops: Sequence[str]) -> dict:
        """What is new in an update; `said` counts the letters of each copy's text that were told."""
        update, copy = news.update, news.copy
        if update.modality != "text":
            return await self.service.writing.run(_told, update.content, by=asked.by)
        text = update.content if update.done else settled(update.content, stops)
        new = text[said[copy] :]
        said[copy] = 0 if update.done else max(said[copy], len(text))
        return {"content": new} if new else {}

    def _chunk(self, copy: int, delta: dict, *, reason: str | None = None) -> str:
        choice = {"index": copy, "delta": delta, "finish_reason": reason, "logprobs": None}
        return event({**self._head("chat.completion.chunk"), "choices": [choice]})


def event(content: dict, *, name: str | None = None) -> str:
    """A server-sent event."""
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(content)}\n\n"


def usage_of(copies: Sequence[Done]) -> dict:
    """Codes as tokens: those of the prompt once, those of all copies."""
    read = sum(copies[0].read.values())
    written = sum(sum(done.written.values()) for done in copies)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _message(document: Document) -> dict:
    """All segments as one message: texts, boxes and points joined, pictures beside them."""
    told = [_told(segment.content) for segment in document]
    texts = [part["content"] for part in told if "content" in part]
    images = [image for part in told for image in part.get("images", ())]
    message = {"role": "assistant", "content": "".join(texts) if texts else None, "refusal": None}
    return {**message, "images": images} if images else message


def _told(content) -> dict:
    """A segment as a part of a message."""
    if isinstance(content, Image.Image):
        url = f"data:image/png;base64,{image_io.base64_of(content)}"
        return {"images": [{"type": "image_url", "image_url": {"url": url}}]}
    if isinstance(content, str):
        return {"content": content}
    return {"content": write_box(content) if isinstance(content, Box) else write_point(content, "")}
