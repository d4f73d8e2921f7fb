"""Runs of the model: one at a time, in order, each stopped by its visitor's Stop. Knows no model.

Gradio's own queue and `cancels` are not used: a late event of a cancelled run could overwrite "Stopped.".
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from unitok.page.status import status_line

PAUSE = 0.2
"""Seconds between two looks at the queue, or at a call in progress."""
QUIET = 0.3
"""Seconds without a run after which a press of Stop is over: a run pressed before it may arrive after it."""
STOPPED = "Stopped."
EVENT = {"concurrency_limit": None, "api_visibility": "private", "show_progress": "hidden"}


class RunQueue:
    """Lets one run at a time use the model."""

    def __init__(self):
        self._condition = threading.Condition()
        self._runs: list[object] = []

    def join(self) -> object:
        """Append a run; return its ticket."""
        ticket = object()
        with self._condition:
            self._runs.append(ticket)
        return ticket

    def wait(self, ticket: object) -> int:
        """Wait for a run's turn, `PAUSE` seconds at most; return the number of runs before it."""
        with self._condition:
            self._condition.wait_for(lambda: self._runs[0] is ticket, timeout=PAUSE)
            return self._runs.index(ticket)

    def leave(self, ticket: object) -> None:
        """Remove a run."""
        with self._condition:
            self._runs.remove(ticket)
            self._condition.notify_all()


@dataclass
class Visit:
    """One visitor's runs of a tab: how many, when the last one ended, and presses of Stop in progress."""

    active: int = 0
    ended: float = 0.0
    stops: int = 0


class Runs:
    """The events of one tab that run the model, and its Stop button."""

    def __init__(self, queue: RunQueue):
        self._queue = queue
        self._visit = gr.State(Visit())

    def add(
        self,
        triggers: Sequence[Callable],
        handler: Callable[..., Iterator[tuple]],
        inputs: Sequence[Component],
        outputs: Sequence[Component],
    ) -> Any:
        """Run `handler` on some triggers; its outputs end with the tab's status line. Returns the event."""
        run = stoppable(self._queue, handler, outputs=len(outputs))
        return gr.on(triggers, run, [self._visit, *inputs], list(outputs), **EVENT)

    def add_stop(
        self,
        triggers: Sequence[Callable],
        outputs: Sequence[Component],
        *,
        inputs: Sequence[Component] = (),
        after: Callable[..., Any] = lambda: status_line(STOPPED),
    ) -> None:
        """Stop this visitor's runs on some triggers; then show what `after` returns."""
        stop = lambda visit, *values: (stop_runs(visit), after(*values))[1]  # noqa: E731 (see stoppable)
        gr.on(triggers, stop, [self._visit, *inputs], list(outputs), **EVENT)


def stoppable(
    queue: RunQueue, handler: Callable[..., Iterator[tuple]], *, outputs: int
) -> Callable[..., Iterator[tuple]]:
    """Make a handler wait for its turn and end in "Stopped." if its visitor presses Stop.

    Args:
        queue: of the runs of all visitors.
        handler: yields `outputs` values, of which the last is the status line; closing it stops it.
        outputs: number of values.

    Returns:
        A generator of the same values, whose first input is the `Visit`.
    """

    def say(text: str) -> tuple:
        return (*[gr.skip()] * (outputs - 1), status_line(text))

    def run(visit: Visit, *inputs: Any) -> Iterator[tuple]:
        steps, ticket = handler(*inputs), queue.join()
        visit.active += 1
        try:
            while (before := queue.wait(ticket)) and not visit.stops:
                yield say(f"Waiting: {before} {'run' if before == 1 else 'runs'} before this one …")
            for values in () if visit.stops else steps:
                if visit.stops:
                    break
                yield values
        finally:
            steps.close()
            queue.leave(ticket)
            visit.active, visit.ended = visit.active - 1, time.monotonic()
        if visit.stops:
            yield say(STOPPED)

    # gradio must see a generator function, which a def checked by jaxtyping is not: hence a lambda
    return lambda visit, *inputs: (yield from run(visit, *inputs))


def stop_runs(visit: Visit) -> None:
    """Stop a visitor's runs, and return when they have ended."""
    visit.stops, pressed = visit.stops + 1, time.monotonic()
    try:
        while visit.active or time.monotonic() - max(pressed, visit.ended) < QUIET:
            time.sleep(0.02)
    finally:
        visit.stops -= 1


class _Closed(Exception):
    """Raised in a call whose caller has gone."""


def in_steps(call: Callable[..., Any]) -> Generator[int, None, Any]:
    """Run `call(on_step=…)` in a thread: yield the number of steps so far, and return its result.

    Closing the generator ends the call at its next step.
    """
    closed, steps = threading.Event(), [0]

    def on_step(number: int) -> None:
        steps[0] += 1
        if closed.is_set():
            raise _Closed

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(call, on_step=on_step)
        try:
            while True:
                try:
                    return future.result(timeout=PAUSE)
                except TimeoutError:
                    yield steps[0]
        finally:
            closed.set()
