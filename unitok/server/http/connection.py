"""Closes connections of clients that are too slow. Knows bytes, no requests."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD = 10.0
"""Most seconds that the headers of a request may take."""
LOOKS = 8
"""How often a connection is looked after in the shorter of its two times."""
LATE = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 36\r\n\r\nthe headers did not come in due time"
)


class Connection(H11Protocol):
    """HTTP/1.1, with an end to what uvicorn would wait for without one.

    Args:
        patience: seconds that a client may leave unread what was sent to it; its headers may take as long,
            but no longer than HEAD.
        others: of uvicorn's.
    """

    def __init__(self, *args, patience: float, **options):
        super().__init__(*args, **options)
        self._patience, self._head = patience, min(patience, HEAD)
        self._asked = self._read = self.loop.time()
        self._look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """From here on it is looked after."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._look.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Hang up where a request's headers, or the reading of its answer, take too long."""
        now = self.loop.time()
        self._asked = now if self._answering else self._asked
        self._read = self._read if self.transport.get_write_buffer_size() else now
        if now - self._asked > self._head and not self.transport.is_closing():
            self._refuse()
        if now - self._read > self._patience:
            self.transport.abort()
        self._look = self.loop.call_later(self._head / LOOKS, self._watch)

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self) -> None:
        """End a connection without a request, and say so where there are parts of one."""
        if self.conn.trailing_data[0]:
            self.transport.write(LATE)
        self.transport.close()
