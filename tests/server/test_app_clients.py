"""The official `openai` client against a running server: valid and invalid requests."""

import base64
import io

import pytest
from PIL import Image, ImageChops

from tests.tiny_model import seed_of_text_and_image, tiny_model
from unitok.api.learned_tasks import LearnedTask
from unitok.document import Segment

openai = pytest.importorskip("openai", reason="openai is not installed (extra clients)")
httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra clients)")

serving = pytest.importorskip("tests.server.serving", reason="the server is not installed (extra serve)")
Limits = serving.Limits
RED = Image.new("RGB", (12, 8), "red")


def file_of(image, format="PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def uri_of(image) -> str:
    return f"data:image/png;base64,{base64.b64encode(file_of(image)).decode()}"


def image_of(item) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(item.b64_json))).convert("RGB")


def message_of(*parts, role="user") -> dict:
    """A message of texts and images."""
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": uri_of(part)}}
        for part in parts
    ]
    return {"role": role, "content": content}


def client_of(server, key="none"):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0, timeout=60)


@pytest.fixture(scope="module")
def model():
    return tiny_model(shape=(4, 3), max_length=300)


@pytest.fixture(scope="module")
def server(model):
    with serving.running(model, limits=Limits(max_body=200_000)) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with client_of(server) as client:
        yield client


# ---- valid requests


def test_models_are_listed(client):
    (model_info,) = client.models.list()
    assert model_info.id == "unitok" and client.models.retrieve("unitok").object == "model"
    assert model_info.input_modalities == model_info.output_modalities == ["text", "image"]


def test_a_question_about_an_image(client, model):
    answer = client.chat.completions.create(
        model="unitok", messages=[message_of(RED, "what is it?")], max_tokens=9, seed=3, temperature=1.0
    )
    (choice,) = answer.choices
    document = (Segment("image", RED), Segment("text", "what is it?"))
    expected = model.generate([document], target="text", seed=3, temperature=1.0, max_new_tokens=9)[0][-1]
    assert choice.message.role == "assistant" and choice.message.content == expected.content
    assert answer.usage.prompt_tokens == 12 + len("what is it?")
    assert not hasattr(answer, "warnings"), "nothing is known of what the model learned"
    assert answer.usage.completion_tokens <= 9 and choice.finish_reason in ("stop", "length")


def test_a_model_of_captions_says_what_it_leaves_out():
    learned = tiny_model(shape=(4, 3), max_length=300, tasks=[LearnedTask("captions")])
    with serving.running(learned) as server, client_of(server) as client:
        assert client.models.retrieve("unitok").tasks == [{"name": "captions", "examples": [], "figures": []}]
        messages = [message_of("be brief", role="system"), message_of(RED, "what is it?")]
        body = {"model": "unitok", "messages": messages, "max_tokens": 9}
        answer = client.chat.completions.create(**body)
        assert answer.choices[0].message.content == learned.caption(RED, max_new_tokens=9)[0]
        assert answer.usage.prompt_tokens == 12 and len(answer.warnings) == 2
        first = next(iter(client.chat.completions.create(**body, stream=True)))
        assert first.warnings == answer.warnings
        drawn = client.images.generate(model="unitok", prompt="a star")
        assert "never learned to draw images from texts" in drawn.warnings[0]


def test_a_stream_equals_the_answer(client):
    body = {"model": "unitok", "messages": [message_of("hello")], "n": 2, "max_tokens": 20, "seed": 1}
    body |= {"temperature": 1.2, "stop": ["a", "é?"]}
    whole = client.chat.completions.create(**body)
    texts, reasons, usage = ["", ""], [None, None], None
    for chunk in client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    assert texts == [choice.message.content for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert usage.total_tokens == whole.usage.total_tokens


def test_the_model_may_answer_with_images_and_read_its_own(client, model):
    body = {"model": "unitok", "seed": 5, "modalities": ["image"]}
    first = client.chat.completions.create(messages=[message_of("a star")], **body).choices[0].message
    (image,) = first.images
    content = base64.b64decode(image["image_url"]["url"].split(",")[1])
    (expected,) = model.draw("a star", seed=5)
    assert Image.open(io.BytesIO(content)).tobytes() == expected.tobytes() and first.content is None
    again = client.chat.completions.create(
        messages=[message_of("a star"), first.model_dump(), message_of("b")], **body
    )
    assert again.usage.prompt_tokens == len("a star") + 12 + 1


def test_the_model_may_choose(client):
    body = {"model": "unitok", "messages": [message_of("hello")], "modalities": ["text", "image"], "seed": 2}
    whole = client.chat.completions.create(**body, max_tokens=5).choices[0].message
    images, text = 0, ""
    for chunk in client.chat.completions.create(**body, max_tokens=5, stream=True):
        text += chunk.choices[0].delta.content or ""
        images += len(getattr(chunk.choices[0].delta, "images", ()))
    assert (text or None, images) == (text_of(whole) or None, len(getattr(whole, "images", ())))


def text_of(message) -> str:
    """The text of a message, whose content may be parts."""
    parts = [{"type": "text", "text": message.content or ""}]
    parts = message.content if isinstance(message.content, list) else parts
    return "".join(part["text"] for part in parts if part["type"] == "text")


def test_text_and_then_an_image_in_one_answer_and_in_one_stream(client, model):
    seed = seed_of_text_and_image(model, "hello", temperature=1.0, max_new_tokens=5)
    body = {"model": "unitok", "messages": [message_of("hello")], "modalities": ["text", "image"]}
    body |= {"seed": seed, "max_tokens": 5, "temperature": 1.0}
    whole = client.chat.completions.create(**body).choices[0].message
    assert [part["type"] for part in whole.content[:2]] == ["text", "image_url"]
    assert [part for part in whole.content if part["type"] == "image_url"] == whole.images
    kinds = []
    for chunk in client.chat.completions.create(**body, stream=True):
        delta = chunk.choices[0].delta
        kinds += ["text"] * bool(delta.content) + ["image"] * hasattr(delta, "images")
    assert kinds.index("text") < kinds.index("image")
    again = client.chat.completions.create(
        model="unitok", messages=[message_of("hello"), whole.model_dump(), message_of("b")], max_tokens=1
    )
    texts, images = len(text_of(whole).encode()), len(whole.images)
    assert again.usage.prompt_tokens == len("hello") + texts + 12 * images + 1


def test_two_images_are_those_of_draw(client, model):
    answer = client.images.generate(
        model="unitok", prompt="a red star", n=2, size="12x16", extra_body={"seed": 7}
    )
    for item, expected in zip(answer.data, model.draw("a red star", n=2, seed=7), strict=True):
        assert image_of(item).tobytes() == expected.tobytes()
    assert answer.size == "12x16" and answer.usage.output_tokens == 24


def test_images_grow_row_by_row(client, model):
    events = list(
        client.images.generate(prompt="a star", stream=True, partial_images=3, extra_body={"seed": 7})
    )
    kinds = [event.type.removeprefix("image_generation.") for event in events]
    assert kinds == ["partial_image"] * 3 + ["completed"]
    assert [event.partial_image_index for event in events[:-1]] == [0, 1, 2]
    (expected,) = model.draw("a star", seed=7)
    assert image_of(events[-1]).tobytes() == expected.tobytes()
    assert image_of(events[0]).getpixel((0, 15)) == (128, 128, 128)


def test_a_mask_keeps_what_is_opaque(client, model):
    image = Image.effect_noise((12, 16), 80).convert("RGB")
    mask = Image.new("RGBA", (12, 16), "red")
    mask.paste((0, 0, 0, 0), (0, 8, 12, 16))
    answer = client.images.edit(
        image=("a.png", file_of(image)), mask=("m.png", file_of(mask)), prompt="a star", n=2,
        extra_body={"seed": 4},
    )  # fmt: skip
    white = Image.new("L", (12, 16))
    white.paste(255, (0, 8, 12, 16))
    for item, expected in zip(answer.data, model.inpaint(image, white, "a star", n=2, seed=4), strict=True):
        edited = image_of(item)
        assert edited.tobytes() == expected.tobytes()
        assert not ImageChops.difference(edited, image).crop((0, 0, 12, 8)).getbbox()


def test_an_edit_by_instruction(client, model):
    events = list(
        client.images.edit(
            image=[file_of(RED)], prompt="a star", stream=True, partial_images=1, extra_body={"seed": 4}
        )
    )
    document = (Segment("image", RED), Segment("text", "a star"))
    expected = model.generate([document], target="image", seed=4)[0][-1].content
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]
    assert image_of(events[-1]).tobytes() == expected.tobytes()


def test_metrics(client, server):
    client.images.generate(prompt="a", extra_body={"seed": 0})
    text = httpx.get(f"{server.url}/metrics").text
    assert 'unitok_requests_total{route="/v1/images/generations",status="200"}' in text
    assert "unitok_documents_held 0" in text and 'unitok_codes_total{modality="image"}' in text
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}


# ---- invalid requests


@pytest.mark.parametrize(
    ("change", "status", "code", "text"),
    [
        ({"model": "gpt-5"}, 404, "model_not_found", "model must be 'unitok', got 'gpt-5'"),
        ({"temperature": 3}, 400, "decimal_above_max_value", "temperature"),
        ({"n": 11}, 400, "integer_above_max_value", "n must be at most 10, got 11"),
        ({"messages": []}, 400, "array_below_min_length", "messages"),
        ({"messages": [message_of("")]}, 400, "invalid_value", "got only empty messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "invalid_value", "'system'"),
        ({"messages": [message_of("x" * 400)]}, 400, "invalid_value", "the prompt is too long"),
        ({"messages": [message_of(*[RED] * 17)]}, 400, "invalid_value", "at most 16 images, got 17"),
        ({"tools": [{}]}, 400, "unsupported_parameter", "tools must be absent on this server, got"),
        ({"response_format": {"type": "json"}}, 400, "unsupported_parameter", "response_format must be"),
        ({"modalities": ["audio"]}, 400, "invalid_value", "modalities.0"),
        ({"stream": True, "messages": [message_of("x" * 400)]}, 400, "invalid_value", "prompt is too long"),
    ],
)  # fmt: skip
def test_invalid_chats(client, change, status, code, text):
    body = {"model": "unitok", "messages": [message_of("hello")], **change}
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(**body)
    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert text in raised.value.message


@pytest.mark.parametrize(
    "url",
    ["http://a.b/a.png", "file:///etc/passwd", "data:image/png;base64,####", "data:,x", uri_of(RED)[:70]],
)
def test_invalid_images(client, url):
    part = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="unitok", messages=[{"role": "user", "content": [part]}])
    assert raised.value.param == "messages.0.content" and raised.value.code == "invalid_value"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"size": "64x64"}, "size must be 12x16 or 'auto' here, got 64x64"),
        ({"size": "big"}, "WIDTHxHEIGHT"),
        ({"response_format": "url"}, "b64_json"),
        ({"prompt": ""}, "prompt"),
    ],
)
def test_invalid_drawings(client, body, text):
    with pytest.raises(openai.BadRequestError, match=text):
        client.images.generate(**{"prompt": "a star", **body})


def test_invalid_masks(client):
    for mask, text in (
        (Image.new("L", (5, 5), 255), "the size of its image, 12 × 8 pixels, got 5 × 5 pixels"),
        (Image.new("L", (12, 8)), "got none"),
    ):
        with pytest.raises(openai.BadRequestError, match=text):
            client.images.edit(image=file_of(RED), mask=file_of(mask), prompt="a star")


def test_a_body_that_is_too_large(client):
    with pytest.raises(openai.APIStatusError) as raised:
        client.images.generate(prompt="x" * 300_000)
    assert (raised.value.status_code, raised.value.code) == (413, "body_too_large")


def test_a_file_that_is_too_large(client, server):
    with pytest.raises(openai.APIStatusError) as raised:
        client.images.edit(image=b"x" * 300_000, prompt="a star")
    assert raised.value.status_code == 413
    form = b"--b\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    chunks = iter([form, *[b"x" * 50_000] * 10])
    answer = httpx.post(f"{server.url}/v1/images/edits", content=chunks, headers=headers)
    assert answer.status_code == 413 and answer.json()["error"]["code"] == "body_too_large"


def test_a_large_body_without_a_length(server):
    chunks = (b'{"prompt": "', *[b"x" * 50_000] * 6, b'"}')
    answer = httpx.post(
        f"{server.url}/v1/images/generations",
        content=iter(chunks),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 413 and answer.json()["error"]["code"] == "body_too_large"


def test_unknown_paths_and_methods_have_codes(server):
    assert httpx.get(f"{server.url}/v1/nothing").json()["error"]["code"] == "not_found"
    assert httpx.delete(f"{server.url}/v1/models").json()["error"]["code"] == "method_not_allowed"


def test_unknown_paths_are_answered_with_the_known_ones(server):
    message = httpx.post(f"{server.url}/chat/completions", json={}).json()["error"]["message"]
    assert message.startswith("/chat/completions: not found; known: /v1/models, ")
    assert "/v1/chat/completions, /v1/responses, /v1/images/generations" in message
    wrong = httpx.get(f"{server.url}/v1/chat/completions")
    assert wrong.status_code == 405 and wrong.headers["allow"] == "POST"
    assert wrong.json()["error"]["message"] == "/v1/chat/completions: method must be POST, got GET"


@pytest.mark.parametrize("path", ["/health", "/metrics", "/v1/models", "/v1/models/unitok"])
def test_head_requests(server, path):
    answer = httpx.head(f"{server.url}{path}")
    assert answer.status_code == 200 and not answer.content


def test_a_name_may_have_a_slash(model):
    with serving.running(model, name="mine/unitok") as server, client_of(server) as client:
        assert client.models.retrieve("mine/unitok").id == "mine/unitok"
        assert httpx.get(f"{server.url}/v1/models/mine/unitok").json()["id"] == "mine/unitok"
        assert httpx.get(f"{server.url}/v1/models/").json() == httpx.get(f"{server.url}/v1/models").json()
        with pytest.raises(openai.NotFoundError, match="model must be 'mine/unitok', got 'mine/other'"):
            client.models.retrieve("mine/other")


def test_a_key_is_required(model):
    with serving.running(model, limits=Limits(api_key="sesame")) as server:
        for key in ("sesam", "sesame1", "Sesame", "x" * 1000):
            with pytest.raises(openai.AuthenticationError) as raised, client_of(server, key) as client:
                client.chat.completions.create(model="unitok", messages=[message_of("hello")])
            assert raised.value.code == "invalid_api_key"
        with client_of(server, "sesame") as client:
            assert [info.id for info in client.models.list()] == ["unitok"]
        assert httpx.get(f"{server.url}/health").status_code == 200
        assert (
            httpx.get(f"{server.url}/v1/models", headers={"Authorization": "bearer sesame"}).status_code
            == 200
        )
        assert (
            httpx.get(f"{server.url}/metrics", headers={"Authorization": b"Bearer \xff"}).status_code == 401
        )
