"""Closes connections of clients that are too slow. Knows bytes, no requests."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_HEADER_SECONDS = 10.0
CHECKS = 8
"""How often a connection is checked within its header timeout."""
HEADER_TIMEOUT = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 34\r\n\r\nthe headers did not arrive in time"
)


class Connection(H11Protocol):
    """HTTP/1.1 with the timeouts that uvicorn lacks.

    Args:
        timeout: seconds that a client may leave its answer unread; its headers must arrive in the same time,
            at most MAX_HEADER_SECONDS.
        others: see H11Protocol.
    """

    def __init__(self, *args, timeout: float, **options):
        super().__init__(*args, **options)
        self._timeout, self._header_timeout = timeout, min(timeout, MAX_HEADER_SECONDS)
        self._last_answering = self._last_drained = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start to watch the connection."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._timer.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Hang up if the client is too slow to send its headers or to read its answer."""
        now = self.loop.time()
        self._last_answering = now if self._answering else self._last_answering
        self._last_drained = self._last_drained if self.transport.get_write_buffer_size() else now
        if now - self._last_answering > self._header_timeout and not self.transport.is_closing():
            self._refuse()
        if now - self._last_drained > self._timeout:
            self.transport.abort()
        self._timer = self.loop.call_later(self._header_timeout / CHECKS, self._watch)

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self) -> None:
        """Close a connection without a request, with status 408 if parts of one have arrived."""
        if self.conn.trailing_data[0]:
            self.transport.write(HEADER_TIMEOUT)
        self.transport.close()
