"""The state that routes share: model, name, worker, limits. Knows no route."""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.types import Receive

from unitok.api.unitok import UniTok
from unitok.modalities.image import ImageModality
from unitok.server.http.body_errors import describe
from unitok.server.http.errors import ApiError
from unitok.server.http.thread_pool import Deadline, ThreadPool
from unitok.server.jobs import Accepted, Done
from unitok.server.metrics import Metrics
from unitok.server.middleware import Limits
from unitok.server.pending_job import EventStream, PendingJob, unless_disconnected
from unitok.server.worker import Worker

Result = TypeVar("Result")
THREADS = 2
"""Images decoded at once, and images encoded at once: each takes memory meanwhile."""


@dataclass(frozen=True)
class ServerState:
    """A model, served under a name."""

    model: UniTok
    name: str
    worker: Worker
    limits: Limits
    metrics: Metrics
    created: int = field(default_factory=lambda: int(time.time()))
    decoders: ThreadPool = field(default_factory=lambda: ThreadPool("image decoder", threads=THREADS))
    encoders: ThreadPool = field(default_factory=lambda: ThreadPool("image encoder", threads=THREADS))

    @property
    def image_modality(self) -> ImageModality:
        """The model's image modality."""
        return self.model.codec.image

    def check_model(self, name: str | None) -> None:
        """Raise ApiError if a client asks for another model."""
        if name is not None and name != self.name:
            message = f"model must be {self.name!r}, got {name[:80]!r}"
            raise ApiError(404, message, code="model_not_found", param="model")

    def check_modalities(self, names: Sequence[str]) -> None:
        """Raise ApiError if a client asks for a modality that the model does not have."""
        *others, last = map(repr, self.model.codec.modalities)
        known = " or ".join(filter(None, (", ".join(others), last)))
        for place, name in enumerate(names):
            if name not in self.model.codec.modalities:
                param = f"modalities.{place}"
                message = f"{param} must be {known}, got {describe(name)}"
                raise ApiError(400, message, code="invalid_value", param=param)

    def deadline(self) -> Deadline:
        """The deadline of a request that is being read now."""
        return Deadline(self.limits.timeout)

    async def decode(self, receive: Receive, work: Callable[[], Result], *, deadline: Deadline) -> Result:
        """Run work on a client's images, cancelled if the client disconnects; return its result."""
        return await unless_disconnected(receive, self.decoders.run(work, deadline=deadline))


def seed_or_random(seed: int | None) -> int:
    """The seed itself, or a random one for None."""
    return secrets.randbelow(2**31) if seed is None else seed


async def complete(job: PendingJob, receive: Receive) -> list[Done]:
    """Wait for all copies of a job, which is closed however it ends."""
    try:
        return await unless_disconnected(receive, job.results())
    finally:
        job.close()


async def stream(job: PendingJob, receive: Receive, events: AsyncIterator[str]) -> EventStream:
    """Stream a job's events once the engine has accepted it: an invalid job is an error, not a stream."""
    try:
        event = await unless_disconnected(receive, job.next_event())
        assert isinstance(event, Accepted), event
    except BaseException:
        job.close()
        raise
    return EventStream(job, events)
