"""Under attack small requests are still answered in time, and the server still stops."""

import time

import pytest

from tests.tiny_model import tiny_model

httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra clients)")
pytest.importorskip("uvicorn", reason="uvicorn is not installed (extra serve)")
from tests.server.hostile import KINDS, Attack, scanned  # noqa: E402
from tests.server.process import child  # noqa: E402
from unitok.server.app import GRACE_PERIOD  # noqa: E402

TIMEOUT = 30
DRAW = {"prompt": "a star", "seed": 1}
CHAT = {"model": "unitok", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}


def small_requests(url: str) -> None:
    message = {"role": "user", "content": [scanned(0)]}
    for path, body in (
        ("/v1/images/generations", DRAW),
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", {**CHAT, "messages": [message]}),
    ):
        answer = httpx.post(url + path, json=body, timeout=TIMEOUT)
        assert answer.status_code == 200, answer.text
    assert httpx.get(f"{url}/health", timeout=TIMEOUT).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "kinds",
    [("scans", "texts"), *((kind,) for kind in KINDS), tuple(KINDS)],
    ids="+".join,
)
def test_small_requests_under_attack(tmp_path, kinds):
    with child(tiny_model(), tmp_path, "--timeout", str(TIMEOUT)) as server:
        with Attack(server.address, *kinds):
            time.sleep(1)
            small_requests(server.url)
            started = time.monotonic()
            assert server.stop(seconds=GRACE_PERIOD + 30) == 0
            assert time.monotonic() - started < GRACE_PERIOD + 15
        assert "Traceback" not in server.errors.read_text()
