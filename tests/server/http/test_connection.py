"""Connections with half a request or an unread answer are closed after a timeout."""

import socket
import time

import pytest

from tests.tiny_model import tiny_model

httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra clients)")
serving = pytest.importorskip("tests.server.serving", reason="the server is not installed (extra serve)")
from unitok.server.metrics import Metrics  # noqa: E402

HALF = b"POST /v1/images/generations HTTP/1.1\r\nhost: a\r\n"
TIMEOUT = 0.5
"""Seconds that the server waits for a client."""
WHOLE = b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.fixture(scope="module")
def server():
    with serving.running(tiny_model(), limits=serving.Limits(timeout=TIMEOUT)) as server:
        yield server


def connected(server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


@pytest.mark.parametrize("sent", [HALF, HALF[:3], WHOLE + HALF], ids=["half", "a few letters", "the second"])
def test_incomplete_headers_time_out(server, sent):
    with connected(server) as connection:
        connection.sendall(sent)
        answer = connection.makefile("rb").read()
    assert answer.count(b"HTTP/1.1 408 ") == 1 and answer.endswith(
        b"\r\n\r\nthe headers did not arrive in time"
    )
    assert answer.count(b"HTTP/1.1 200 ") == sent.count(WHOLE)


def test_headers_that_trickle_in_time_out(server):
    with connected(server) as connection:
        ended = time.monotonic() + 20
        with pytest.raises(OSError):
            while time.monotonic() < ended:
                connection.sendall(b"a")
                time.sleep(0.05)


def test_a_connection_without_a_request_is_closed(server):
    with connected(server) as connection:
        assert connection.recv(1) == b""


def test_an_unread_answer_is_aborted(server, monkeypatch):
    monkeypatch.setattr(Metrics, "render", lambda *_, **__: "x" * 2**24)
    with connected(server) as connection:
        connection.sendall(WHOLE)
        connection.recv(10)
        time.sleep(2.5 * TIMEOUT)
        assert len(connection.makefile("rb").read()) < 2**24
    serving.until(lambda: server.state.metrics.running == 0)


def test_an_answer_may_be_read_slowly(server, monkeypatch):
    monkeypatch.setattr(Metrics, "render", lambda *_, **__: "x" * 2**24)
    with httpx.stream("GET", f"{server.url}/metrics") as answer:
        assert sum(len(part) for part in answer.iter_raw(2**20) if time.sleep(0.02) is None) == 2**24


def test_a_connection_is_kept_for_the_next_request(server):
    with httpx.Client(base_url=server.url) as client:
        for _ in range(4):
            assert client.get("/health").status_code == 200
            time.sleep(0.4 * TIMEOUT)
