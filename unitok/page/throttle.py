"""Throttles updates to what a browser can show. Knows no page."""

import time
from collections.abc import Iterable, Iterator

from unitok.api.previews import Update

PAUSE = 0.08
"""Seconds between two updates of an incomplete segment."""


def throttle(updates: Iterable[Update], *, pause: float = PAUSE) -> Iterator[Update]:
    """Drop updates of incomplete segments that come less than `pause` seconds after the last one."""
    last = -pause
    for update in updates:
        now = time.monotonic()
        if update.done or now - last >= pause:
            last = now
            yield update
