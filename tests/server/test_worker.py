"""Requests share a batch, wait in a bounded queue, and are cancelled when their client disconnects."""

import json
import threading
import time
from http.client import HTTPConnection

import pytest

from tests.tiny_model import tiny_model

httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra clients)")
serving = pytest.importorskip("tests.server.serving", reason="the server is not installed (extra serve)")
Limits, Steps, running, until = serving.Limits, serving.Steps, serving.running, serving.until
DRAW = {"prompt": "a star", "seed": 1}
CODES = 25
DRAWINGS = "/v1/images/generations"


@pytest.fixture(scope="module")
def model():
    return tiny_model(shape=(5, 5), max_length=300)


@pytest.fixture
def server(model):
    with running(model, batch_size=4, queue_size=2) as server:
        yield server


class Client:
    """Sends requests in threads."""

    def __init__(self, server):
        self.server, self.answers, self.threads = server, [], []

    def draw(self, count=1, **more):
        for _ in range(count):
            self.threads.append(threading.Thread(target=self._draw, args=({**DRAW, **more},)))
            self.threads[-1].start()

    def _draw(self, body):
        url = self.server.url + DRAWINGS
        self.answers.append(httpx.post(url, json=body, timeout=60))

    def wait(self):
        for thread in self.threads:
            thread.join()
        return [answer.status_code for answer in self.answers]


def held(server):
    return server.state.worker.held


def test_all_kinds_of_requests_share_the_steps(server):
    client = Client(server)
    with Steps(server.state) as steps:
        client.draw(n=2)
        client.draw(guidance_scale=3.0)
        chat = {"model": "unitok", "messages": [{"role": "user", "content": "x"}], "max_tokens": 200}
        answers = []
        url = f"{server.url}/v1/chat/completions"
        thread = threading.Thread(target=lambda: answers.append(httpx.post(url, json=chat, timeout=60)))
        thread.start()
        until(lambda: held(server) == 4)
    assert client.wait() == [200, 200]
    thread.join()
    assert answers[0].status_code == 200 and held(server) == 0
    assert steps.taken < 3 * CODES + 200, "they did not advance together"
    images = [item["b64_json"] for answer in client.answers for item in answer.json()["data"]]
    assert len(set(images)) == 3


@pytest.mark.parametrize("stream", [True, False])
def test_closing_the_connection_frees_the_row_within_a_step(server, stream):
    body = json.dumps({**DRAW, "n": 2, "stream": stream, "partial_images": 3})
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    with Steps(server.state) as steps:
        connection.request("POST", DRAWINGS, body, {"content-type": "application/json"})
        steps.allow(20)
        until(lambda: steps.waiting)
        if stream:
            answer = connection.getresponse()
            assert answer.readline() == b"event: image_generation.partial_image\n"
            answer.close()
        assert steps.rows == 2 and steps.taken == 20
        connection.close()
        until(lambda: server.state.worker._cancelled)
        steps.allow(1)
        until(lambda: held(server) == 0)
        assert steps.rows == 0 and steps.taken == 21
    assert server.state.metrics.count("unitok_cancelled_total") == 2
    assert httpx.post(server.url + DRAWINGS, json=DRAW, timeout=60).status_code == 200  # the server survives


def test_a_full_queue_refuses_requests_until_it_has_space(server):
    client = Client(server)
    with Steps(server.state) as steps:
        client.draw(6)
        until(lambda: held(server) == 6)
        refused = httpx.post(server.url + DRAWINGS, json=DRAW)
        assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert refused.json()["error"]["code"] == "queue_full"
        assert steps.rows <= 6
    assert client.wait() == [200] * 6
    assert httpx.post(server.url + DRAWINGS, json=DRAW, timeout=60).status_code == 200
    never = httpx.post(server.url + DRAWINGS, json={**DRAW, "n": 7})
    assert never.status_code == 400 and never.json()["error"]["param"] == "n"


def test_requests_over_the_limit_are_refused_unread(model):
    with running(model, limits=Limits(max_requests=2)) as server, Steps(server.state):
        client = Client(server)
        client.draw(2)
        until(lambda: held(server) == 2)
        assert httpx.get(f"{server.url}/v1/models").status_code == 429
        assert httpx.get(f"{server.url}/health").status_code == 200


def test_requests_time_out_and_leave_the_batch(model):
    with running(model, limits=Limits(timeout=0.5)) as server, Steps(server.state) as steps:
        answer = httpx.post(server.url + DRAWINGS, json=DRAW, timeout=60)
        assert answer.status_code == 504 and answer.json()["error"]["code"] == "timeout"
        streamed = httpx.post(server.url + DRAWINGS, json={**DRAW, "stream": True}, timeout=60)
        assert "timeout" in streamed.text
        steps.allow(1)
        until(lambda: held(server) == 0)


def test_a_body_that_does_not_arrive_times_out(model):
    def slow():
        yield b'{"prompt": '
        time.sleep(0.8)
        yield b'"x"}'

    with running(model, limits=Limits(timeout=0.3)) as server:
        headers = {"content-type": "application/json"}
        answer = httpx.post(server.url + DRAWINGS, content=slow(), headers=headers, timeout=60)
        assert answer.status_code == 408 and answer.json()["error"]["code"] == "timeout"


def test_a_failed_step_fails_its_requests_not_the_server(server, caplog):
    def fail():
        raise RuntimeError("out of memory")

    server.state.worker.engine.step = fail
    answer = httpx.post(server.url + DRAWINGS, json=DRAW, timeout=60)
    assert answer.status_code == 500 and answer.json()["error"]["type"] == "server_error"
    assert "out of memory" not in answer.text and "out of memory" in caplog.text
    assert httpx.post(server.url + DRAWINGS, json=DRAW, timeout=60).status_code == 200


def test_an_image_does_not_depend_on_its_batch(server, model):
    client = Client(server)
    client.draw(1)
    client.draw(1, prompt="another", n=2, guidance_scale=2.0)
    client.draw(1)
    assert client.wait() == [200] * 3
    drawn = [answer.json()["data"] for answer in client.answers]
    assert len({items[0]["b64_json"] for items in drawn if len(items) == 1}) == 1
