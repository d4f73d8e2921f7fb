"""On a signal the server finishes the requests in progress and exits with code 0; invalid options."""

import os
import signal
import socket
import threading
import time

import pytest

from tests.tiny_model import tiny_model

httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra clients)")
pytest.importorskip("uvicorn", reason="uvicorn is not installed (extra serve)")
from tests.server.process import child  # noqa: E402
from tests.server.serving import until  # noqa: E402

DRAW = {"prompt": "a star", "seed": 1, "n": 4}


@pytest.mark.parametrize("sent", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_requests_in_progress_are_finished(tmp_path, capfd, sent):
    """By a server in this process; tests/server/test_app_fuzz.py stops one of its own."""
    from unitok.cli.commands import serve

    tiny_model(shape=(12, 12), max_length=400).save_pretrained(tmp_path / "model")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client, answers = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60), []

    def draw():
        answers.append(client.post("/v1/images/generations", json=DRAW))

    def stop():
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        thread = threading.Thread(target=draw)
        thread.start()
        until(lambda: "unitok_documents_held 4" in client.get("/metrics").text)
        os.kill(os.getpid(), sent)
        thread.join()

    thread = threading.Thread(target=stop)
    thread.start()
    options = ["--port", str(port), "--device", "cpu", "--threads", "1", "--no-access-log"]
    serve.main(["--model", str(tmp_path / "model"), *options])
    thread.join()
    assert answers[0].status_code == 200 and len(answers[0].json()["data"]) == 4
    with pytest.raises(httpx.ConnectError):
        client.get("/health")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_an_idle_server_exits_at_once(tmp_path):
    with child(tiny_model(), tmp_path) as server, httpx.Client() as client:
        assert client.get(f"{server.url}/health").status_code == 200  # keeps a connection alive
        assert server.stop(seconds=10) == 0


@pytest.mark.slow
def test_the_second_signal_does_not_wait(tmp_path):
    with child(tiny_model(shape=(64, 64), max_length=5000), tmp_path) as server:
        body = {**DRAW, "stream": True}
        with httpx.stream("POST", f"{server.url}/v1/images/generations", json=body, timeout=60) as answer:
            assert answer.status_code == 200
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert server.process.poll() is None, "it did not wait for the image"
            assert server.stop(seconds=10) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "UNITOK_API_KEY is set, got 0.0.0.0"),
        (["--port", "PORT"], "in use"),
        (["--model", "nowhere"], "nowhere"),
        (["--queue", "-1"], "queue_size must be at least 0, got -1"),
        (["--port", "99999"], "port must be in 0..65535, got 99999"),
        (["--port", "-1"], "port must be in 0..65535, got -1"),
        (["--threads", "0"], "threads must be at least 1, got 0"),
        (["--threads", "-1"], "threads must be at least 1, got -1"),
        (["--max-body", "nan"], "--max-body must be more than 0 MB, got nan"),
        (["--max-body", "inf"], "--max-body must be more than 0 MB, got inf"),
        (["--max-body", "-1"], "--max-body must be more than 0 MB, got -1"),
        (["--timeout", "nan"], "timeout must be a finite number of seconds above 0, got nan"),
        (["--timeout", "0"], "timeout must be a finite number of seconds above 0, got 0"),
        (["--name", ""], "name must be printable text without surrounding whitespace, got ''"),
        (["--host", ""], "host must be an address or name of this machine, like 127.0.0.1, got ''"),
        (["--host", "http://127.0.0.1"], "host must be an address or name of this machine"),
        (["--host", "[::1]"], "host must be an address or name of this machine"),
    ],
)
def test_invalid_options_take_one_line(tmp_path, capsys, monkeypatch, options, message):
    from unitok.cli.commands import serve

    monkeypatch.delenv("UNITOK_API_KEY", raising=False)
    tiny_model().save_pretrained(tmp_path / "model")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        arguments = [option.replace("PORT", str(taken.getsockname()[1])) for option in options]
        with pytest.raises(SystemExit) as stop:
            serve.main(["--model", str(tmp_path / "model"), *arguments])
    assert stop.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize("key", [" ", "secret\n", "ключ", "\udcff"])
def test_an_unusable_key_is_refused_and_not_printed(tmp_path, capsys, monkeypatch, key):
    from unitok.cli.commands import serve

    monkeypatch.setitem(serve.os.environ, "UNITOK_API_KEY", key)
    tiny_model().save_pretrained(tmp_path / "model")
    with pytest.raises(SystemExit) as stop:
        serve.main(["--model", str(tmp_path / "model"), "--port", "0"])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and "the API key must be printable ASCII" in error and "secret" not in error
