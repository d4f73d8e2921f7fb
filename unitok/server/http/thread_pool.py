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
    """When a request's answer is due, so many seconds from now."""

    def __init__(self, seconds: float):
        self._seconds, self._end = seconds, time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then, 0 where it is past."""
        return max(0.0, self._end - time.monotonic())

    def passed(self) -> ApiError:
        """What a client is told that waits no longer."""
        return ApiError(504, f"the answer took longer than {self._seconds:g} s", code="timeout")


class Aside:
    """Threads that work one after another through what they are given.

    They are daemons of their own, because those of asyncio and anyio are waited for when a process ends.
    """

    def __init__(self, name: str, *, threads: int):
        self._waiting: SimpleQueue[tuple[Future, Callable[[], object]]] = SimpleQueue()
        for _ in range(threads):
            threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, work: Callable[..., Result], *arguments, by: Deadline) -> Result:
        """The result of work. What nobody waits for any more before it is begun is not done.

        Raises:
            ApiError: the deadline passed.
        """
        future: Future[Result] = Future()
        self._waiting.put((future, partial(work, *arguments)))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), by.left)
        except asyncio.TimeoutError as error:
            raise by.passed() from error

    def _work(self) -> None:
        while True:
            future, work = self._waiting.get()
            if future.set_running_or_notify_cancel():
                _carry_out(future, work)
            del future, work  # a thread that waits keeps no picture alive


def _carry_out(future: Future, work: Callable[[], object]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # whatever it is, who waits is told, and the thread goes on
        future.set_exception(error)
