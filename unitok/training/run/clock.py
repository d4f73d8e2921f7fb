"""When something is due that may take little of a run's time. Knows no model."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch import Trainer

MOST_SHARE = 0.05
"""Of the run's time, for whatever is done by a clock."""


class Clock:
    """Is due every `seconds`, or more seldom where what is done then would take over a twentieth of the time.

    Args:
        seconds: between two times.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.start()

    def start(self) -> None:
        """Begin to wait."""
        self._next = time.monotonic() + self.seconds

    @property
    def passed(self) -> bool:
        """Whether the time has come on this process."""
        return time.monotonic() >= self._next

    def due(self, trainer: Trainer) -> bool:
        """Whether the time has come on any process; collective over all of them."""
        return trainer.strategy.reduce_boolean_decision(self.passed, all=False)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measures what is done, and begins to wait again."""
        start = time.monotonic()
        yield
        now = time.monotonic()
        self._next = now + max(self.seconds, (now - start) / MOST_SHARE)
