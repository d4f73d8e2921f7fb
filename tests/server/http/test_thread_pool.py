"""Images and texts are decoded and encoded in threads with a deadline; late work is not begun."""

import asyncio
import base64
import io
import threading

import pytest
from PIL import Image

from tests.tiny_model import tiny_model

httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra clients)")
serving = pytest.importorskip("tests.server.serving", reason="the server is not installed (extra serve)")
from unitok.server import image_io  # noqa: E402
from unitok.server.http.errors import ApiError  # noqa: E402
from unitok.server.http.thread_pool import Deadline, ThreadPool  # noqa: E402

DRAWINGS, CHAT = "/v1/images/generations", "/v1/chat/completions"
DRAW = {"prompt": "a star", "seed": 1}


def uri() -> str:
    file = io.BytesIO()
    Image.new("RGB", (12, 8), "red").save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def chat(*parts: dict) -> dict:
    return {"model": "unitok", "messages": [{"role": "user", "content": list(parts)}], "max_tokens": 2}


IMAGE = {"type": "image_url", "image_url": {"url": uri()}}


def test_work_is_not_begun_after_its_deadline():
    pool, free, done = ThreadPool("test", threads=1), threading.Event(), []

    async def main():
        first = asyncio.ensure_future(pool.run(free.wait, deadline=Deadline(30)))
        await asyncio.sleep(0.01)
        with pytest.raises(ApiError, match=r"longer than 0\.05 s") as raised:
            await pool.run(done.append, 1, deadline=Deadline(0.05))
        assert raised.value.status_code == 504
        free.set()
        assert await first
        await pool.run(done.append, 2, deadline=Deadline(30))

    asyncio.run(main())
    assert done == [2]


def test_the_caller_gets_the_error_and_the_thread_survives():
    pool = ThreadPool("test", threads=1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(pool.run(lambda: 1 / 0, deadline=Deadline(30)))
    assert asyncio.run(pool.run(lambda: 1, deadline=Deadline(30))) == 1


def test_slow_image_decoding_blocks_no_generation_and_times_out(monkeypatch):
    free, load = threading.Event(), image_io.load_image
    monkeypatch.setattr(
        image_io, "load_image", lambda *args, **options: (free.wait(), load(*args, **options))[1]
    )
    with serving.running(tiny_model(), limits=serving.Limits(timeout=3)) as server:
        try:
            answers = []

            def ask():
                answers.append(httpx.post(server.url + CHAT, json=chat(IMAGE), timeout=60))

            threads = [threading.Thread(target=ask) for _ in range(5)]
            for thread in threads:
                thread.start()
            serving.until(lambda: server.state.metrics.running == 5)
            drawn = httpx.post(server.url + DRAWINGS, json=DRAW, timeout=60)
            assert drawn.status_code == 200, drawn.text
            for thread in threads:
                thread.join()
            assert {answer.status_code for answer in answers} == {504}
        finally:
            free.set()
        assert httpx.post(server.url + CHAT, json=chat(IMAGE), timeout=60).status_code == 200


def test_texts_are_encoded_beside_the_engine_and_only_as_far_as_needed(monkeypatch):
    model = tiny_model(max_length=200)
    text, made = model.codec.modalities["text"], []
    encode = text.encode

    def note(content: str):
        made.append((threading.current_thread().name, len(content)))
        return encode(content)

    monkeypatch.setattr(text, "encode", note)
    with serving.running(model) as server:
        many = {"type": "text", "text": "x" * 60_000}
        messages = [{"role": "user", "content": [many] * 4}] * 64  # 15 MB
        answer = httpx.post(server.url + CHAT, json={"model": "unitok", "messages": messages}, timeout=60)
        assert answer.status_code == 400 and "the prompt is too long" in answer.json()["error"]["message"]
        assert sum(length for _, length in made) <= 60_000
        assert (
            httpx.post(server.url + CHAT, json=chat({"type": "text", "text": "x"}), timeout=60).status_code
            == 200
        )
    assert {name for name, _ in made} == {"encoder"}


def test_texts_of_disconnected_clients_are_not_encoded(monkeypatch):
    model, free, made = tiny_model(), threading.Event(), []
    text = model.codec.modalities["text"]
    encode = text.encode

    def slow(content: str):
        made.append(content)
        free.wait(60)
        return encode(content)

    monkeypatch.setattr(text, "encode", slow)
    with serving.running(model) as server:
        answers = []
        first = threading.Thread(
            target=lambda: answers.append(httpx.post(server.url + DRAWINGS, json=DRAW, timeout=60))
        )
        first.start()
        serving.until(lambda: made)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(server.url + DRAWINGS, json={"prompt": "another"}, timeout=0.5)
        serving.until(lambda: server.state.worker.held == 1)
        free.set()
        first.join()
        assert answers[0].status_code == 200
    assert made == ["a star"]
