"""Runs blocking work in few threads, with a deadline. Knows no images and no texts."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from unitok.server.http.errors import ApiError

Result = TypeVar("Result")


class Deadline:
    """The time by which a request must be answered, `seconds` from now."""

    def __init__(self, seconds: float):
        self._seconds, self._end = seconds, time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, 0 once it has passed."""
        return max(0.0, self._end - time.monotonic())

    def error(self) -> ApiError:
        """The error for a client whose deadline has passed."""
        return ApiError(504, f"the answer took longer than {self._seconds:g} s", code="timeout")


class ThreadPool:
    """A few daemon threads that work through a queue.

    They are not asyncio's or anyio's, because a process waits for those before it exits.
    """

    def __init__(self, name: str, *, threads: int):
        self._queue: SimpleQueue[tuple[Future, Callable[[], object]]] = SimpleQueue()
        for _ in range(threads):
            threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, work: Callable[..., Result], *arguments, deadline: Deadline) -> Result:
        """Run work in a thread and return its result. Work cancelled before it starts is never run.

        Raises:
            ApiError: the deadline passed.
        """
        future: Future[Result] = Future()
        self._queue.put((future, partial(work, *arguments)))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), deadline.remaining)
        except asyncio.TimeoutError as error:
            raise deadline.error() from error

    def _work(self) -> None:
        while True:
            future, work = self._queue.get()
            if future.set_running_or_notify_cancel():
                _run_into(future, work)
            del future, work  # an idle thread keeps no image alive


def _run_into(future: Future, work: Callable[[], object]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # whatever it is, the caller gets it and the thread survives
        future.set_exception(error)
