"""The state that routes share: model, name, worker, limits. Knows no route."""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.types import Receive

from unitok.api.unitok import UniTok
from unitok.modalities.image import ImageModality
from unitok.server.http.errors import ApiError
from unitok.server.http.thread_pool import Aside, Deadline
from unitok.server.jobs import Accepted, Done
from unitok.server.metrics import Metrics
from unitok.server.middleware import Limits
from unitok.server.pending_job import Asked, Stream, unless_gone
from unitok.server.worker import Worker

Result = TypeVar("Result")
READERS = 2
"""Pictures that are read at once, and pictures that are written: each takes memory while it is."""


@dataclass(frozen=True)
class Service:
    """A model that is served by a name."""

    model: UniTok
    name: str
    worker: Worker
    limits: Limits
    metrics: Metrics
    created: int = field(default_factory=lambda: int(time.time()))
    reading: Aside = field(default_factory=lambda: Aside("reader", threads=READERS))
    writing: Aside = field(default_factory=lambda: Aside("writer", threads=READERS))

    @property
    def pictures(self) -> ImageModality:
        """How the model sees pictures."""
        return self.model.codec.modalities["image"]

    def check(self, name: str | None) -> None:
        """Raises ApiError where a client asks for another model."""
        if name is not None and name != self.name:
            message = f"there is no model {name[:80]!r} here, only {self.name!r}"
            raise ApiError(404, message, code="model_not_found", param="model")

    def deadline(self) -> Deadline:
        """When a request is given up that is read now."""
        return Deadline(self.limits.seconds)

    async def read(self, receive: Receive, work: Callable[[], Result], *, by: Deadline) -> Result:
        """The result of work on a client's pictures, which is dropped when the client goes away."""
        return await unless_gone(receive, self.reading.run(work, by=by))


def seed_of(given: int | None) -> int:
    """The seed that was given, or one of chance."""
    return secrets.randbelow(2**31) if given is None else given


async def complete(asked: Asked, receive) -> list[Done]:
    """All copies of a job, which is closed however it ends."""
    try:
        return await unless_gone(receive, asked.all())
    finally:
        asked.close()


async def streamed(asked: Asked, receive, events: AsyncIterator[str]) -> Stream:
    """The events of a job once the engine has taken it, so that what cannot be is an error, not a stream."""
    try:
        news = await unless_gone(receive, asked.next())
        assert isinstance(news, Accepted), news
    except BaseException:
        asked.close()
        raise
    return Stream(asked, events)
