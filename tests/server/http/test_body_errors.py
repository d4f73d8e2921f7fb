"""Every invalid body gets a plain message that names the field and the value."""

import gzip
import json
import random
import re

import pytest

from tests.tiny_model import tiny_model

httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra clients)")
serving = pytest.importorskip("tests.server.serving", reason="the server is not installed (extra serve)")
from fastapi.testclient import TestClient  # noqa: E402
from pydantic import ValidationError  # noqa: E402

from tests.server import mutations  # noqa: E402
from unitok.server.app import build  # noqa: E402
from unitok.server.http.body_errors import explain  # noqa: E402
from unitok.server.response_schemas import ResponseRequest  # noqa: E402
from unitok.server.schemas import ChatRequest, DrawRequest  # noqa: E402

CHAT, DRAWINGS, EDITS = "/v1/chat/completions", "/v1/images/generations", "/v1/images/edits"
JARGON = re.compile(
    "Input should|constrained|union|valid dictionary|discriminator|Field required|UploadFile|<class|"
    r"at least \d+ items?|unable to|parsing|tagged|list\[|another value|"
    r"(value|literal|union_tag|string|int|float|list|dict|model)_(error|type|parsing)|_equal|too_(long|short)"
)
CONVERSATION = {"model": "unitok", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}


@pytest.fixture(scope="module")
def client():
    with TestClient(build(tiny_model(shape=(4, 3), max_length=300))) as client:
        yield client


def part(**fields) -> dict:
    return {"messages": [{"role": "user", "content": [fields]}]}


@pytest.mark.parametrize("path", [CHAT, DRAWINGS])
@pytest.mark.parametrize(
    "name", ["n", "stream", "stream_options", "modalities", "stop", "seed", "size", "tools", "max_tokens",
             "response_format", "output_format", "partial_images", "temperature", "negative_prompt"],
)  # fmt: skip
def test_null_means_absent(client, path, name):
    body = CONVERSATION if path == CHAT else {"prompt": "a star"}
    answer = client.post(path, json={**body, name: None})
    assert answer.status_code == 200, answer.text


def test_nested_null_means_absent(client):
    body = {**CONVERSATION, "stream": True, "stream_options": {"include_usage": None}}
    body["messages"] = [
        {"role": "user", "content": "a", "images": None},
        {"role": "assistant", "content": None},
    ]
    assert client.post(CHAT, json=body).status_code == 200


@pytest.mark.parametrize(
    ("change", "param", "message"),
    [
        ({"stream": "maybe"}, "stream", 'stream must be true or false, got "maybe"'),
        ({"stream_options": "yes"}, "stream_options", 'stream_options must be an object, got "yes"'),
        ({"stream_options": {"include_usage": []}}, "stream_options.include_usage", "got a list of 0"),
        ({"stop": list("abcde")}, "stop", "stop must be a list of at most 4, got a list of 5"),
        ({"stop": 5}, "stop", "stop must be a string or a list, got 5"),
        ({"stop": ""}, "stop", 'stop must be a non-empty string, got ""'),
        ({"n": 1.5}, "n", "n must be an integer, got 1.5"),
        ({"n": 0}, "n", "n must be at least 1, got 0"),
        ({"temperature": "hot"}, "temperature", 'temperature must be a number, got "hot"'),
        ({"temperature": -1}, "temperature", "temperature must be at least 0, got -1"),
        ({"top_p": 0}, "top_p", "top_p must be more than 0, got 0"),
        ({"seed": 10**400}, "seed", "got a number of 401 digits"),
        ({"modalities": ["audio"]}, "modalities.0", "modalities.0 must be 'text' or 'image', got \"audio\""),
        ({"modalities": []}, "modalities", "a list of at least 1, got a list of 0"),
        ({"model": None}, "model", "model is missing"),
        ({"messages": {}}, "messages", "messages must be a list, got an object"),
        ({"messages": ["hi"]}, "messages.0", 'messages.0 must be an object, got "hi"'),
        ({"messages": [{"role": "tool"}]}, "messages.0.role", "must be 'system', 'developer', 'user' or"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "a string or a list, got 5"),
        (part(type="text"), "messages.0.content.0.text", "messages.0.content.0.text is missing"),
        (part(type="text", text=5), "messages.0.content.0.text", "must be a string, got 5"),
        (part(type="audio"), "messages.0.content.0.type", "must be 'text' or 'image_url', got \"audio\""),
        (part(text="a"), "messages.0.content.0.type", "messages.0.content.0.type is missing"),
        (part(type="image_url", image_url="data:,x"), "messages.0.content.0.image_url", "must be an object"),
        (part(type="image_url", image_url={}), "messages.0.content.0.image_url.url", "url is missing"),
        ({"tools": [{}]}, "tools", "tools must be absent on this server, got a list of 1"),
        ({"top_logprobs": 3}, "top_logprobs", "top_logprobs must be absent on this server, got 3"),
        ({"response_format": {"type": "json_object"}}, "response_format",
         'response_format must be {"type": "text"} or absent on this server, got an object'),
        ({"response_format": "json"}, "response_format", 'or absent on this server, got "json"'),
        ({"tool_choice": "required"}, "tool_choice", 'must be "auto" or "none" or absent on this'),
        ({"function_call": {"name": "f"}}, "function_call", "function_call must be"),
        ({"stop": "x" * 300}, "stop", "a string of at most 256 characters, got a string of 300 characters"),
    ],
)  # fmt: skip
def test_an_invalid_chat_is_reported_with_its_field(client, change, param, message):
    error = client.post(CHAT, json={**CONVERSATION, **change}).json()["error"]
    assert error["param"] == param and message in error["message"], error
    assert not JARGON.search(json.dumps(error))


@pytest.mark.parametrize("size", ["1024x1024", "12x8", "11x16"])
def test_an_invalid_size_is_reported_in_pixels(client, size):
    for answer in (
        client.post(DRAWINGS, json={"prompt": "a", "size": size}),
        client.post(EDITS, data={"prompt": "a", "size": size}, files={"image": mutations.png()}),
    ):
        error = answer.json()["error"]
        assert answer.status_code == 400 and error["param"] == "size"
        assert f"size must be 12x16 or 'auto' here, got {size}" == error["message"]


def test_sizes_of_a_model_of_any_size():
    with TestClient(build(tiny_model(shape=None, max_side=4))) as client:
        assert client.post(DRAWINGS, json={"prompt": "a", "size": "8x12"}).status_code == 200
        for size in ("9x12", "64x64"):
            error = client.post(DRAWINGS, json={"prompt": "a", "size": size}).json()["error"]
            assert "both multiples of 4 up to 16 pixels" in error["message"] and error["param"] == "size"


@pytest.mark.parametrize("size", ["auto", None])
def test_a_size_that_the_model_chooses(client, size):
    assert client.post(DRAWINGS, json={"prompt": "a", "size": size}).json()["size"] == "12x16"


def test_a_body_of_another_content_type(client):
    body = json.dumps(CONVERSATION)
    for headers in (
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "text/plain"},
        {},
    ):
        error = client.post(CHAT, content=body, headers=headers).json()["error"]
        assert "Content-Type must be application/json, got" in error["message"]
    error = client.post(EDITS, json={"prompt": "a"}).json()["error"]
    assert "Content-Type must be multipart/form-data, got application/json" in error["message"]


def test_a_compressed_body_is_refused(client):
    packed = gzip.compress(json.dumps(CONVERSATION).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = client.post(CHAT, content=packed, headers=headers)
    assert answer.status_code == 415
    assert answer.json()["error"]["message"] == "Content-Encoding must be identity or absent, got gzip"


@pytest.mark.parametrize(
    "plain", [{"response_format": {"type": "text"}}, {"tool_choice": "none"}, {"tool_choice": "auto"}]
)
def test_defaults_may_be_sent(client, plain):
    assert client.post(CHAT, json={**CONVERSATION, **plain}).status_code == 200


def test_unsupported_image_options_are_refused(client):
    error = client.post(DRAWINGS, json={"prompt": "a", "background": "transparent"}).json()["error"]
    assert (
        error["message"]
        == 'background must be "auto" or "opaque" or absent on this server, got "transparent"'
    )
    assert (error["param"], error["code"]) == ("background", "unsupported_parameter")
    assert client.post(DRAWINGS, json={"prompt": "a", "background": "auto"}).status_code == 200
    form = {"prompt": "a", "negative_prompt": "b"}
    error = client.post(EDITS, data=form, files={"image": mutations.png()}).json()["error"]
    assert error["message"] == 'negative_prompt must be absent on this server, got "b"'


@pytest.mark.parametrize("body", ['{"model": "unitok", "messages": [}', '{"a": 1,}', "", "{", "{\"a\": 'b'}"])
def test_malformed_json(client, body):
    answer = client.post(CHAT, content=body, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["param"] is None
    assert "JSON" in error["message"] or "body is missing" in error["message"], error


def test_a_form_with_texts_for_files(client):
    error = client.post(
        EDITS, data={"prompt": "a", "image": "photo.png"}, files={"mask": mutations.png()}
    ).json()
    assert error["error"]["message"] == 'image must be a file, got "photo.png"'


def test_thousands_of_invalid_bodies_are_explained_without_jargon():
    seen = set()
    for number in range(4000):
        rng = random.Random(number)
        form, content = rng.choice(
            [
                (ChatRequest, mutations.chat(rng)),
                (DrawRequest, mutations.drawing(rng)),
                (ResponseRequest, mutations.response(rng)),
            ]
        )
        for _ in range(rng.randint(1, 2)):
            content = mutations._mutate(content, rng)
        try:
            form.model_validate(content)
        except ValidationError as raised:
            errors = [{**error, "loc": ("body", *error["loc"])} for error in raised.errors()]
            message, code, param = explain(errors, content)
            assert not JARGON.search(f"{message} {code}"), (content, message, code)
            assert param is None or param in message
            seen.add(code)
    assert len(seen) > 8, seen


# ---- lenient base64


URI = mutations.URI
HEAD, LETTERS = URI.split(",")


@pytest.mark.parametrize(
    "uri",
    [URI.replace("data:", "DATA:").replace(";base64", ";BASE64"), f" {URI}\n", URI.rstrip("="),
     f"{HEAD},\n" + "\r\n".join(LETTERS[i : i + 76] for i in range(0, len(LETTERS), 76)),
     f"{HEAD}," + " \t".join(LETTERS), f"{HEAD}," + LETTERS.replace("+", "-").replace("/", "_"),
     f"{HEAD}," + LETTERS.replace("+", "%2B").replace("=", "%3D"), "data:;base64," + LETTERS,
     "data:image/png;charset=utf-8; base64," + LETTERS, "Data:image/png;Base64," + LETTERS + "\n"],
)  # fmt: skip
def test_base64_is_decoded_as_in_browsers(client, uri):
    answer = client.post(CHAT, json={**CONVERSATION, **part(type="image_url", image_url={"url": uri})})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("letters", "message"),
    [
        ("####", "the character '#'"),
        ("AAAAA", "ends after 5 characters"),
        ("AA\u00e4A", "character"),
        ("A=AA", "="),
    ],
)
def test_invalid_base64_is_reported(client, letters, message):
    url = f"data:image/png;base64,{letters}"
    error = client.post(CHAT, json={**CONVERSATION, **part(type="image_url", image_url={"url": url})}).json()[
        "error"
    ]
    assert "the image is not valid base64" in error["message"] and message in error["message"]


# ---- CORS

ORIGIN = "http://localhost:3000"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST",
         "Access-Control-Request-Headers": "authorization,content-type"}  # fmt: skip


def test_origins_are_refused_by_default(client):
    answer = client.options(CHAT, headers=PREFLIGHT)
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-origin" not in client.get("/v1/models", headers={"Origin": ORIGIN}).headers


def test_allowed_origins_need_the_key_too():
    limits = serving.Limits(api_key="sesame")
    with TestClient(build(tiny_model(), limits=limits, origins=[ORIGIN, "https://a.example"])) as client:
        preflight = client.options(CHAT, headers=PREFLIGHT)
        assert preflight.status_code == 200 and preflight.headers["access-control-allow-origin"] == ORIGIN
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        refused = client.post(CHAT, json=CONVERSATION, headers={"Origin": ORIGIN})
        assert refused.status_code == 401 and refused.headers["access-control-allow-origin"] == ORIGIN
        headers = {"Origin": ORIGIN, "Authorization": "Bearer sesame"}
        answer = client.post(CHAT, json=CONVERSATION, headers=headers)
        assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == ORIGIN
        assert client.options(CHAT, headers={**PREFLIGHT, "Origin": "http://evil.example"}).status_code == 400


@pytest.mark.parametrize("origin", ["localhost:3000", "http://localhost:3000/", "http://a b", "", "null"])
def test_an_invalid_origin(origin):
    with pytest.raises(ValueError, match=r"like http://localhost:3000"):
        build(tiny_model(), origins=[origin])
