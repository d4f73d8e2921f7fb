"""A running server for tests: uvicorn in a thread, and an engine that steps on demand."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from unitok.api.unitok import UniTok
from unitok.server.app import build, listen
from unitok.server.middleware import Limits
from unitok.server.state import ServerState

__all__ = ["Limits", "Running", "Steps", "running", "until"]


class Running(NamedTuple):
    """A running server."""

    url: str
    state: ServerState


@contextmanager
def running(model: UniTok, **options) -> Iterator[Running]:
    """Run a server of a model on a free port; options as in `build`."""
    app = build(model, **options)
    server, listener = listen(app, port=0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.server)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the server did not stop"


class Steps:
    """Lets a worker's engine step on demand; `taken` counts steps, `waiting` tells whether one is pending."""

    def __init__(self, state: ServerState):
        self.taken, self.waiting = 0, False
        self.worker = state.worker
        self._step, self._allowed, self._free = self.worker.engine.step, threading.Semaphore(0), False
        self.worker.engine.step = self._wait

    def _wait(self):
        if not self._free:
            self.waiting = True
            self._allowed.acquire()
            self.waiting = False
        self.taken += 1
        return self._step()

    def allow(self, count: int) -> None:
        """Allow `count` more steps, and wait until they are taken."""
        target = self.taken + count
        self._allowed.release(count)
        until(lambda: self.taken >= target)

    def __enter__(self) -> "Steps":
        return self

    def __exit__(self, *_) -> None:
        self._free = True
        self._allowed.release(10_000)

    @property
    def rows(self) -> int:
        """Documents in the engine, running or waiting."""
        return len(self.worker.engine._running) + len(self.worker.engine._waiting)


def until(true: Callable[[], object], *, seconds: float = 30.0) -> None:
    """Wait until a condition is true. Raises AssertionError on timeout."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.002)
