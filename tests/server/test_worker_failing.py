"""A failed engine is restarted; if that fails too, all clients get an error and the server exits."""

import subprocess
import sys
import threading

import pytest

from tests.cases import rare
from tests.server.process import ROOT
from tests.tiny_model import tiny_model

httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra clients)")
serving = pytest.importorskip("tests.server.serving", reason="the server is not installed (extra serve)")
from unitok.server import app  # noqa: E402

DRAWINGS = "/v1/images/generations"
DRAW = {"prompt": "a star", "seed": 1}


def fail(kind: type[BaseException] = RuntimeError, *_, **__):
    raise kind("the device is lost")


def draw(server):
    return httpx.post(server.url + DRAWINGS, json=DRAW, timeout=60)


@pytest.mark.parametrize("name", ["_drop", "_emit_all", "_step"])
def test_the_server_survives_errors_between_steps(monkeypatch, name):
    with serving.running(tiny_model()) as server:
        worker, honest = server.state.worker, getattr(server.state.worker, name)
        monkeypatch.setattr(worker, name, fail)
        if name == "_drop":
            with pytest.raises(httpx.ReadTimeout), serving.Steps(server.state):
                httpx.post(server.url + DRAWINGS, json=DRAW, timeout=0.5)
        else:
            assert draw(server).status_code == 500
        monkeypatch.setattr(worker, name, honest)
        assert draw(server).status_code == 200
        serving.until(lambda: worker.held == 0)


@pytest.mark.parametrize("kind", [RuntimeError, rare(SystemExit)])
def test_an_engine_that_cannot_be_restarted(monkeypatch, kind, caplog):
    monkeypatch.setattr(app, "FAILURE_PERIOD", 2.0)
    model = tiny_model()
    with serving.running(model) as server:
        worker = server.state.worker
        with serving.Steps(server.state) as steps:
            answers = []
            waits = threading.Thread(target=lambda: answers.append(draw(server)))
            waits.start()
            serving.until(lambda: steps.waiting)
            monkeypatch.setattr(model, "engine", lambda **_: fail(kind))
            monkeypatch.setattr(steps, "_step", lambda: fail(kind))
        waits.join()
        health = httpx.get(f"{server.url}/health")
        assert answers[0].status_code == health.status_code == draw(server).status_code == 503
        assert "the engine has failed" in health.json()["error"]["message"]
        assert "the engine has failed" in caplog.text and "the device is lost" in caplog.text
        serving.until(lambda: _gone(server))
        assert not worker.alive


def _gone(server) -> bool:
    try:
        return not httpx.get(f"{server.url}/health")
    except httpx.ConnectError:
        return True


SERVER = """
import sys
from tests.tiny_model import tiny_model
from unitok.server import app
from unitok.server.middleware import Limits
app.FAILURE_PERIOD = 0.2
app.Worker._run_step = lambda worker: sys.exit("lost")
app.serve(tiny_model(), host="127.0.0.1", port=0, threads=1, limits=Limits())
"""


@pytest.mark.slow
def test_a_process_whose_engine_failed_ends_with_code_1():
    done = subprocess.run(
        [sys.executable, "-c", SERVER], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1 and "the engine has failed" in done.stderr
