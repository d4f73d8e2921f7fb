"""The Responses API with the official `openai` client: text and images, in and out, streamed or not."""

import base64
import io

import pytest
from PIL import Image

from tests.tiny_model import BRIEF, seed_of_text_and_image, tiny_model
from unitok.document import Segment

openai = pytest.importorskip("openai", reason="openai is not installed (extra clients)")
serving = pytest.importorskip("tests.server.serving", reason="the server is not installed (extra serve)")
from tests.server.mutations import URI  # noqa: E402

RED = Image.new("RGB", (12, 8), "red")
TOOL = {"type": "image_generation"}
TEXT = {"type": "input_text", "text": "what is it?"}
SHOWN = {"type": "input_image", "image_url": URI, "detail": "auto"}


@pytest.fixture(scope="module")
def model():
    return tiny_model(shape=(4, 3), max_length=300, sampling=BRIEF)


@pytest.fixture(scope="module")
def client(model):
    with (
        serving.running(model) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60) as client,
    ):
        yield client


def ask(client, input="hello", **fields):
    """The response to an input."""
    return client.responses.create(model="unitok", input=input, **fields)


def image_of(item) -> bytes:
    return Image.open(io.BytesIO(base64.b64decode(item.result))).convert("RGB").tobytes()


def test_a_text(client, model):
    response = ask(client, max_output_tokens=5, extra_body={"seed": 1})
    assert response.output_text == model.generate("hello", target="text", max_new_tokens=5)[0][-1].content
    assert response.object == "response" and response.id.startswith("resp_") and response.store is False
    assert response.usage.input_tokens == len("hello")
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    if response.status == "incomplete":
        assert response.incomplete_details.reason == "max_output_tokens"


def test_a_question_about_an_image_with_instructions(client, model):
    response = ask(client, [{"role": "user", "content": [SHOWN, TEXT]}], instructions="be brief")
    document = (Segment("text", "be brief"), Segment("image", RED), Segment("text", "what is it?"))
    assert response.output_text == model.generate([document], target="text")[0][-1].content
    assert response.usage.input_tokens == len("be brief") + 12 + len("what is it?")


def test_an_image_and_a_conversation_about_it(client, model):
    first = ask(client, "a star", tools=[TOOL], tool_choice=TOOL, extra_body={"seed": 5})
    (call,) = first.output
    (expected,) = model.draw("a star", seed=5)
    assert call.type == "image_generation_call" and image_of(call) == expected.tobytes()
    assert call.size == "12x16" and first.output_text == ""
    turns = [{"role": "user", "content": "a star"}, call.model_dump(), {"role": "user", "content": "b"}]
    second = ask(client, turns, max_output_tokens=3)
    assert second.usage.input_tokens == len("a star") + 12 + 1
    again = ask(client, [*turns, second.output[0].model_dump(), {"role": "user", "content": "c"}])
    assert again.usage.input_tokens == second.usage.input_tokens + len(second.output_text.encode()) + 1


def test_a_stream_of_text_and_then_an_image_equals_the_answer(client, model):
    body = {"tools": [{**TOOL, "partial_images": 2}], "temperature": 1.0, "max_output_tokens": 8}
    body["extra_body"] = {"seed": seed_of_text_and_image(model, "hello", temperature=1.0, max_new_tokens=8)}
    whole = ask(client, **body)
    events = list(ask(client, **body, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:3]] == [
        "response.created", "response.in_progress", "response.output_item.added",
    ]  # fmt: skip
    last = events[-1]
    assert last.type == f"response.{whole.status}"
    assert [item.type for item in whole.output[:2]] == ["message", "image_generation_call"]
    assert last.response.output_text == whole.output_text
    images = [item for item in whole.output if item.type == "image_generation_call"]
    streamed = [item for item in last.response.output if item.type == "image_generation_call"]
    assert [image_of(item) for item in streamed] == [image_of(item) for item in images]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text
    previews = [e for e in events if e.type == "response.image_generation_call.partial_image"]
    assert [event.partial_image_index for event in previews[:2]] == [0, 1]
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert [item.id for item in done] == [item.id for item in last.response.output]


def test_the_client_gathers_a_stream(client):
    body = {"input": "a star", "tools": [TOOL], "tool_choice": "required", "extra_body": {"seed": 5}}
    with client.responses.stream(model="unitok", **body) as stream:
        (streamed,) = stream.get_final_response().output
    (whole,) = ask(client, **body).output
    assert image_of(streamed) == image_of(whole)


@pytest.mark.parametrize("choice", ["none", "auto", "required"])
def test_the_choice_of_the_tool_says_what_may_come(client, choice):
    response = ask(client, tools=[TOOL], tool_choice=choice, max_output_tokens=4, extra_body={"seed": 2})
    kinds = {item.type for item in response.output}
    allowed = {"none": {"message"}, "required": {"image_generation_call"}}
    assert kinds <= allowed.get(choice, {"message", "image_generation_call"})
    assert response.tool_choice == choice


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"model": "gpt-5"}, "model_not_found", "model must be 'unitok', got 'gpt-5'"),
        ({"input": []}, "array_below_min_length", "input must be a list of at least 1, got a list of 0"),
        ({"input": ""}, "invalid_value", "input must have some content, got only empty messages"),
        ({"input": 5}, "invalid_type", "input must be a string or a list, got 5"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "invalid_value", "'input_text'"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
         "missing_required_parameter", "input.0.content.0.image_url is missing"),
        ({"input": [{"role": "user", "content": [{**SHOWN, "image_url": "http://a.b/c.png"}]}]},
         "invalid_value", "no URL is fetched"),
        ({"input": [{"type": "image_generation_call", "id": "a", "result": "####", "status": "completed"}]},
         "invalid_value", "not valid base64"),
        ({"input": [{"type": "reasoning", "id": "a", "summary": []}]}, "invalid_value", "input.0.type must"),
        ({"tools": [{"type": "function", "name": "f", "parameters": {}}]}, "unsupported_parameter",
         'tools must be [{"type": "image_generation"}] or absent on this server, got a list of 1'),
        ({"tools": [{**TOOL, "size": "64x64"}]}, "invalid_value", "size must be 12x16 or 'auto' here"),
        ({"text": {"format": {"type": "json_object"}}}, "unsupported_parameter", "text must be"),
        ({"previous_response_id": "resp_1"}, "unsupported_parameter", "previous_response_id must be absent"),
        ({"max_output_tokens": 0}, "integer_below_min_value", "max_output_tokens must be at least 1, got 0"),
        ({"input": "x" * 400, "stream": True}, "invalid_value", "the prompt is too long"),
    ],
)  # fmt: skip
def test_invalid_requests(client, change, code, text):
    with pytest.raises(openai.APIStatusError) as raised:
        client.responses.create(**{"model": "unitok", "input": "hello", **change})
    assert raised.value.code == code and text in raised.value.message


def test_an_answer_that_fails_on_the_way_is_an_event(client, model, monkeypatch):
    from unitok.server.responses import Answer

    async def fail(*_):
        from unitok.server.http.errors import ApiError

        raise ApiError(504, "the answer took longer than 1 s", code="timeout")

    monkeypatch.setattr(Answer, "_encode", fail)
    *_, last = ask(client, stream=True)
    assert (last.type, last.code, last.message) == ("error", "timeout", "the answer took longer than 1 s")
