"""Hostile clients: what they send is large, slow, or costly to decode."""

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from functools import cache

from tests.server.mutations import jpeg

CHAT, DRAWINGS = "/v1/chat/completions", "/v1/images/generations"
Address = tuple[str, int]


def post(address: Address, path: str, body: bytes) -> socket.socket:
    """Open a connection and send a request."""
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    connection = socket.create_connection(address, timeout=60)
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return connection


@cache
def costly_body(count: int, scans: int) -> bytes:
    """A conversation with `count` images of `scans` scans each."""
    return chat(*[scanned(scans)] * count)


def chat(*parts: dict) -> bytes:
    """A conversation of these parts, 64 per message."""
    rows = [list(parts[start : start + 64]) for start in range(0, len(parts), 64)]
    messages = [{"role": "user", "content": row} for row in rows]
    return json.dumps({"model": "unitok", "messages": messages}).encode()


def scanned(more: int) -> dict:
    """An image part: a JPEG of 16 million pixels with `more` additional empty scans."""
    url = f"data:image/jpeg;base64,{base64.b64encode(jpeg(more, (4096, 4096))).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def scans(address: Address) -> None:
    """Send an image of thousands of scans."""
    with post(address, CHAT, costly_body(1, 10_000)) as connection:
        connection.recv(1)


def costly(address: Address) -> None:
    """Send as many images as are allowed, each as costly as is allowed."""
    with post(address, CHAT, costly_body(16, 80)) as connection:
        connection.recv(1)


def texts(address: Address) -> None:
    """Send 16 MB of texts."""
    with post(address, CHAT, chat(*[{"type": "text", "text": "a ü " * 13_000}] * 256)) as connection:
        connection.recv(1)


def heads(address: Address) -> None:
    """Send half a request."""
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(b"POST /v1/images/generations HTTP/1.1\r\nhost:")
        connection.recv(1)


def unread(address: Address) -> None:
    """Stream images without reading them."""
    body = {"prompt": "a star", "n": 10, "stream": True, "partial_images": 3}
    with post(address, DRAWINGS, json.dumps(body).encode()):
        time.sleep(5)


KINDS: dict[str, Callable[[Address], None]] = {
    kind.__name__: kind for kind in (scans, costly, texts, heads, unread)
}


class Attack:
    """Two clients of each kind that repeat their attack at most `times` times."""

    def __init__(self, address: Address, *kinds: str, times: int = 50):
        self._address, self._times, self._ended = address, times, threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(KINDS[kind],)) for kind in kinds * 2]

    def _run(self, attack: Callable[[Address], None]) -> None:
        for _ in range(self._times):
            if self._ended.is_set():
                return
            with contextlib.suppress(OSError):
                attack(self._address)

    def __enter__(self) -> "Attack":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(90)
