"""Middleware before any body is read: API keys, body size, rate limit.

Knows HTTP as ASGI messages, no routes and no model. It is no BaseHTTPMiddleware, which would hide from a
route that its client went away.
"""

import asyncio
import hmac
import math
import time
from contextlib import suppress
from dataclasses import dataclass

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unitok.server.http.errors import ApiError
from unitok.server.metrics import Metrics

OPEN = ("/health",)
"""Paths that need no key and are always answered."""
PATIENCE = 5.0
"""Seconds, and SURPLUS times the limit in bytes, that are read and thrown away of a body that is too large,
so that its sender gets to read the answer."""
SURPLUS = 4


@dataclass(frozen=True)
class Limits:
    """What a server takes.

    Args:
        body: bytes of a request's body.
        requests: answered at once; more are refused.
        seconds: from a request's first byte to its answer.
        key: what clients must know, if anything.

    Raises:
        ValueError: nothing could be answered within them.
    """

    body: int = 20 * 2**20
    requests: int = 512
    seconds: float = 300.0
    key: str | None = None

    def __post_init__(self):
        if self.body < 1:
            raise ValueError(f"a body must be allowed 1 byte or more, not {self.body}")
        if not 0 < self.seconds < math.inf:
            raise ValueError(f"a request must be allowed more than 0 seconds, not {self.seconds:g}")
        if self.key is not None and not _sendable(self.key):
            raise ValueError(
                "the key must be ASCII letters that can be seen, without blanks or lines around them"
            )


def _sendable(key: str) -> bool:
    """Whether the header of a request can hold a key as it is."""
    return bool(key) and key.isascii() and key.isprintable() and key == key.strip()


class Gate:
    """An ASGI app before another."""

    def __init__(self, app: ASGIApp, *, limits: Limits, metrics: Metrics):
        self.app, self.limits, self.metrics = app, limits, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, status = time.perf_counter(), 499  # of a client that did not wait

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.metrics.running += 1
        try:
            await self._pass(scope, receive, noted)
        except Exception:
            status = 500
            raise
        finally:
            self.metrics.running -= 1
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.request(route, status, time.perf_counter() - started)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(receive, self.limits)
        try:
            if scope["path"] not in OPEN:
                self._check(scope)
        except ApiError as error:
            await body.discard()
            return await JSONResponse(error.content, error.status_code, error.headers)(scope, receive, send)
        await self.app(scope, body.receive, send)

    def _check(self, scope: Scope) -> None:
        """Raises ApiError for a wrong key, one request too many, or a body that is packed or says itself too
        large."""
        headers = dict(reversed(scope["headers"]))
        if self.limits.key is not None:
            scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
            same = hmac.compare_digest(key.strip(), self.limits.key.encode())
            if not same or scheme.lower() != b"bearer":
                raise ApiError(
                    401,
                    "no valid key: send it as 'Authorization: Bearer KEY'",
                    code="invalid_api_key",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        if self.metrics.running > self.limits.requests:
            raise busy(f"{self.limits.requests} requests are being answered")
        packed = headers.get(b"content-encoding", b"identity").decode("latin-1")
        if packed.strip().lower() != "identity":
            message = f"a body is read as it is, not as Content-Encoding {packed[:40]}"
            raise ApiError(415, message, code="unsupported_media_type")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self.limits.body:
            raise too_large(self.limits.body)


class _Body:
    """A request's body, counted while it is read."""

    def __init__(self, receive: Receive, limits: Limits):
        self._receive, self._most = receive, limits.body
        self._seconds, self._end = limits.seconds, time.monotonic() + limits.seconds
        self._read, self._more = 0, True

    async def receive(self) -> Message:
        """The next message. Raises ApiError where the body is too large or too slow."""
        if not self._more:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._end - time.monotonic()))
        except asyncio.TimeoutError as error:
            raise ApiError(
                408, f"the body did not come within {self._seconds:g} s", code="timeout"
            ) from error
        self._note(message)
        if self._read > self._most:
            await self.discard()
            raise too_large(self._most)
        return message

    def _note(self, message: Message) -> None:
        self._read += len(message.get("body", b""))
        self._more = message["type"] == "http.request" and message.get("more_body", False)

    async def discard(self) -> None:
        """Read what still comes and keep nothing, within bounds."""
        end = time.monotonic() + PATIENCE
        with suppress(asyncio.TimeoutError):
            while self._more and self._read <= SURPLUS * self._most and time.monotonic() < end:
                self._note(await asyncio.wait_for(self._receive(), end - time.monotonic()))


def too_large(most: int) -> ApiError:
    """The error of a body of more bytes than `most`."""
    return ApiError(413, f"the body has more than {most} bytes, which is the most", code="body_too_large")


def busy(why: str) -> ApiError:
    """The error of a server that has enough to do."""
    headers = {"Retry-After": "1"}
    return ApiError(429, f"{why}: the server is full, try again later", code="queue_full", headers=headers)
