"""A job that a route awaits: events, deadline, cancellation when the client disconnects.

Knows asyncio and the worker, no wire format.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from unitok.api.unitok import UniTok
from unitok.generation.requests import Request
from unitok.server.http.errors import ApiError, invalid
from unitok.server.http.thread_pool import Deadline
from unitok.server.jobs import Done, Failed, Job, JobEvent, Kind
from unitok.server.middleware import busy
from unitok.server.worker import QueueFull, Worker, WorkerStopped

Result = TypeVar("Result")


class PendingJob:
    """A job that was submitted to the worker.

    Args:
        worker: the worker that runs it.
        deadline: the time at which it is given up.
        others: see Job.

    Raises:
        ApiError: the queue is full, or the worker is stopping.
    """

    def __init__(
        self,
        worker: Worker,
        kind: Kind,
        prepare: Callable[[UniTok], Request],
        *,
        deadline: Deadline,
        copies: int = 1,
        stream_text: bool = False,
        previews: int = 0,
        stops: Sequence[str] = (),
    ):
        loop, self._events = asyncio.get_running_loop(), asyncio.Queue[JobEvent]()
        self._worker, self.deadline = worker, deadline
        self.job = Job(
            kind,
            prepare,
            lambda event: loop.call_soon_threadsafe(self._events.put_nowait, event),
            copies=copies,
            stream_text=stream_text,
            previews=previews,
            stops=stops,
        )
        if copies > worker.capacity:
            raise invalid(f"n must be at most {worker.capacity} here, got {copies}", param="n")
        try:
            worker.submit(self.job)
        except QueueFull as error:
            raise busy(str(error)) from error
        except WorkerStopped as error:
            raise _api_error(error) from error

    async def next_event(self) -> JobEvent:
        """Wait for the next event.

        Raises:
            ApiError: the job is invalid, failed, or takes too long.
        """
        try:
            event = await asyncio.wait_for(self._events.get(), self.deadline.remaining)
        except asyncio.TimeoutError as error:
            raise self.deadline.error() from error
        if isinstance(event, Failed):
            raise _api_error(event.error) from event.error
        return event

    async def events(self) -> AsyncIterator[JobEvent]:
        """Yield all events until every copy is done."""
        unfinished = self.job.copies
        while unfinished:
            event = await self.next_event()
            unfinished -= isinstance(event, Done)
            yield event

    async def results(self) -> list[Done]:
        """Wait until all copies are done; return them in order."""
        done = [event async for event in self.events() if isinstance(event, Done)]
        return sorted(done, key=lambda event: event.copy)

    def close(self) -> None:
        """Cancel unfinished copies, which leave the batch before its next step."""
        self._worker.cancel(self.job)


def _api_error(error: BaseException) -> ApiError:
    """Convert an error of the worker to the error that its client gets."""
    if isinstance(error, ValueError):
        return invalid(str(error))
    if isinstance(error, WorkerStopped):
        return ApiError(503, str(error), code="stopping")
    return ApiError(500, "the engine failed; see the server's log", code="internal_error")


class Disconnected(ApiError):
    """The client disconnected; nobody reads this."""

    def __init__(self):
        super().__init__(499, "the client disconnected", code="client_gone")


async def unless_disconnected(receive: Receive, work: Awaitable[Result]) -> Result:
    """Return the result of `work`, which is cancelled if the client disconnects.

    Raises:
        Disconnected: it did.
    """
    working = asyncio.ensure_future(work)
    disconnected = asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({working, disconnected}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Disconnected
    finally:
        working.cancel()
        disconnected.cancel()
        # an error that comes too late is retrieved here, or asyncio would log it
        await asyncio.gather(working, disconnected, return_exceptions=True)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(StreamingResponse):
    """Server-sent events of a job, which is closed however the stream ends."""

    def __init__(self, job: PendingJob, events: AsyncIterator[str]):
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with suppress(Disconnected):
                await unless_disconnected(receive, self.stream_response(send))
        finally:
            self._job.close()
