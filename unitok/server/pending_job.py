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
from unitok.server.worker import Full, Stopped, Worker

Result = TypeVar("Result")


class Asked:
    """One job.

    Args:
        worker: who carries it out.
        by: when it is given up.
        others: fields of Job.

    Raises:
        ApiError: there is no room, or the worker is stopping.
    """

    def __init__(
        self,
        worker: Worker,
        kind: Kind,
        prepare: Callable[[UniTok], Request],
        *,
        by: Deadline,
        copies: int = 1,
        texts: bool = False,
        previews: int = 0,
        stops: Sequence[str] = (),
    ):
        loop, self._news = asyncio.get_running_loop(), asyncio.Queue[JobEvent]()
        self._worker, self.by = worker, by
        self.job = Job(
            kind,
            prepare,
            lambda news: loop.call_soon_threadsafe(self._news.put_nowait, news),
            copies=copies,
            texts=texts,
            previews=previews,
            stops=stops,
        )
        if copies > worker.most:
            raise invalid(f"n is at most {worker.most} here, not {copies}", param="n")
        try:
            worker.submit(self.job)
        except Full as error:
            raise busy(str(error)) from error
        except Stopped as error:
            raise _refusal(error) from error

    async def next(self) -> JobEvent:
        """What happens next.

        Raises:
            ApiError: the job cannot be, failed, or takes too long.
        """
        try:
            news = await asyncio.wait_for(self._news.get(), self.by.left)
        except asyncio.TimeoutError as error:
            raise self.by.passed() from error
        if isinstance(news, Failed):
            raise _refusal(news.error) from news.error
        return news

    async def news(self) -> AsyncIterator[JobEvent]:
        """All that happens until every copy is done."""
        left = self.job.copies
        while left:
            news = await self.next()
            left -= isinstance(news, Done)
            yield news

    async def all(self) -> list[Done]:
        """The copies, in order, when all are done."""
        return sorted([news async for news in self.news() if isinstance(news, Done)], key=lambda d: d.copy)

    def close(self) -> None:
        """Nobody waits any more: what is not done leaves the batch before its next step."""
        self._worker.cancel(self.job)


def _refusal(error: BaseException) -> ApiError:
    """What a client is told about an error of the worker."""
    if isinstance(error, ValueError):
        return invalid(str(error))
    if isinstance(error, Stopped):
        return ApiError(503, str(error), code="stopping")
    return ApiError(500, "the engine failed; the server's log says why", code="internal_error")


class Disconnected(ApiError):
    """The client went away; nobody reads this."""

    def __init__(self):
        super().__init__(499, "the client went away", code="client_gone")


async def unless_gone(receive: Receive, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is dropped when the client goes away.

    Raises:
        Disconnected: it did.
    """
    doing, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise Disconnected
    finally:
        doing.cancel()
        gone.cancel()
        await asyncio.gather(doing, gone, return_exceptions=True)  # an error that came too late is nobody's


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Stream(StreamingResponse):
    """Server-sent events of a job, which is closed however they end."""

    def __init__(self, asked: Asked, events: AsyncIterator[str]):
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with suppress(Disconnected):
                await unless_gone(receive, self.stream_response(send))
        finally:
            self._asked.close()
