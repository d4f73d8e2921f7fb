"""Middleware before any body is read: API keys, body size, rate limit; and the access log.

Knows HTTP as ASGI messages, no routes and no model. Not a BaseHTTPMiddleware, which would hide from a route
that its client disconnected.
"""

import asyncio
import hmac
import logging
import math
import time
from contextlib import suppress
from dataclasses import dataclass

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unitok.server.http.errors import ApiError
from unitok.server.metrics import Metrics

access = logging.getLogger("unitok.access")
"""The access log: method, route, status and seconds of each request; no content, no address, no key."""
OPEN_PATHS = ("/health",)
"""Paths that need no key and have no rate limit."""
DISCARD_SECONDS = 5.0
DISCARD_FACTOR = 4
"""Bounds on how much of a body that is too large is still read and discarded, in seconds and in multiples of
the limit: a client reads the answer only after it has sent its body."""


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Args:
        max_body: bytes of a request's body.
        max_requests: requests answered at once; more are refused.
        timeout: seconds from a request's first byte to its answer.
        api_key: the key that clients must send; None for none.

    Raises:
        ValueError: a limit allows no request at all, or no client could send the key.
    """

    max_body: int = 20 * 2**20
    max_requests: int = 512
    timeout: float = 300.0
    api_key: str | None = None

    def __post_init__(self):
        if self.max_body < 1:
            raise ValueError(f"max_body must be at least 1 byte, got {self.max_body}")
        if not 0 < self.timeout < math.inf:
            raise ValueError(f"timeout must be a finite number of seconds above 0, got {self.timeout:g}")
        if self.api_key is not None and not _fits_header(self.api_key):
            raise ValueError(
                "the API key must be printable ASCII without surrounding whitespace"  # its value is a secret
            )


def _fits_header(key: str) -> bool:
    """Whether a header can carry the key unchanged."""
    return bool(key) and key.isascii() and key.isprintable() and key == key.strip()


class Gate:
    """An ASGI app in front of another, which refuses requests before their body is read, and logs all."""

    def __init__(self, app: ASGIApp, *, limits: Limits, metrics: Metrics):
        self.app, self.limits, self.metrics = app, limits, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, status = time.perf_counter(), 499  # if the client disconnects first

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.metrics.running += 1
        try:
            await self._forward(scope, receive, send_and_note)
        except Exception:
            status = 500
            raise
        finally:
            self.metrics.running -= 1
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - started
            self.metrics.request(route, status, seconds)
            access.info("%s %s %d %.3f s", scope["method"], route, status, seconds)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(receive, self.limits)
        try:
            if scope["path"] not in OPEN_PATHS:
                self._check(scope)
        except ApiError as error:
            await body.discard()
            return await JSONResponse(error.content, error.status_code, error.headers)(scope, receive, send)
        await self.app(scope, body.receive, send)

    def _check(self, scope: Scope) -> None:
        """Raise ApiError for a wrong key, too many requests, or a body that is compressed or too large."""
        headers = dict(reversed(scope["headers"]))
        if self.limits.api_key is not None:
            scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
            valid = hmac.compare_digest(key.strip(), self.limits.api_key.encode())
            if not valid or scheme.lower() != b"bearer":
                raise ApiError(
                    401,
                    "invalid or missing API key; send it as 'Authorization: Bearer KEY'",
                    code="invalid_api_key",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        if self.metrics.running > self.limits.max_requests:
            raise busy(f"{self.limits.max_requests} requests are being answered")
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
        if encoding.strip().lower() != "identity":
            message = f"Content-Encoding must be identity or absent, got {encoding[:40]}"
            raise ApiError(415, message, code="unsupported_media_type")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self.limits.max_body:
            raise too_large(self.limits.max_body)


class _Body:
    """A request's body, whose bytes and seconds are counted while it is read."""

    def __init__(self, receive: Receive, limits: Limits):
        self._receive, self._max_body = receive, limits.max_body
        self._timeout, self._end = limits.timeout, time.monotonic() + limits.timeout
        self._read, self._more = 0, True

    async def receive(self) -> Message:
        """Receive the next message. Raises ApiError if the body is too large or too slow."""
        if not self._more:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._end - time.monotonic()))
        except asyncio.TimeoutError as error:
            raise ApiError(
                408, f"the body did not arrive within {self._timeout:g} s", code="timeout"
            ) from error
        self._count(message)
        if self._read > self._max_body:
            await self.discard()
            raise too_large(self._max_body)
        return message

    def _count(self, message: Message) -> None:
        self._read += len(message.get("body", b""))
        self._more = message["type"] == "http.request" and message.get("more_body", False)

    async def discard(self) -> None:
        """Read the rest of the body and drop it, within bounds."""
        end = time.monotonic() + DISCARD_SECONDS
        with suppress(asyncio.TimeoutError):
            while self._more and self._read <= DISCARD_FACTOR * self._max_body and time.monotonic() < end:
                self._count(await asyncio.wait_for(self._receive(), end - time.monotonic()))


def too_large(max_body: int) -> ApiError:
    """The error for a body of more than `max_body` bytes."""
    return ApiError(413, f"the body must be at most {max_body} bytes", code="body_too_large")


def busy(reason: str) -> ApiError:
    """The error of a server at its limits."""
    headers = {"Retry-After": "1"}
    return ApiError(429, f"the server is busy, try again later: {reason}", code="queue_full", headers=headers)
