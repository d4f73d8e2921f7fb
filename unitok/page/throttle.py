"""Throttles updates to what a browser can show. Knows no page."""

import time
from collections.abc import Iterable, Iterator

from unitok.api.previews import Update

PAUSE = 0.08
"""Seconds between two looks at a segment that is not done."""


def paced(updates: Iterable[Update], *, pause: float = PAUSE) -> Iterator[Update]:
    """The updates, but of unfinished segments only those that come `pause` seconds or more after the last."""
    last = -pause
    for update in updates:
        now = time.monotonic()
        if update.done or now - last >= pause:
            last = now
            yield update
