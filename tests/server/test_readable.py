"""What a model never learned to read is left out of a conversation, where something is left, and named."""

import pytest

from tests.tiny_model import tiny_model
from unitok.api.learned_tasks import LearnedTask

pytest.importorskip("fastapi", reason="the server is not installed (extra serve)")

from unitok.server.readable import leave_out, warning_fields
from unitok.server.schemas import Message

IMAGES = [{"type": "image_url", "image_url": {"url": f"data:{number}"}} for number in range(2)]
SYSTEM = {"role": "system", "content": "be brief"}
ASKED = {"role": "user", "content": [{"type": "text", "text": "which?"}, IMAGES[0]]}
MODEL = tiny_model()


def read(names, *messages, modalities=("text",)):
    """What is read of a conversation, in words, and the warnings."""
    MODEL.tasks = None if names is None else tuple(map(LearnedTask, names.split()))
    read, warnings = leave_out([Message(**message) for message in messages], modalities, MODEL)
    assert len(read) == len(messages)
    parts = [part for message in read for part in message.parts]
    return [part.text if part.type == "text" else part.image_url.url for part in parts], warnings


@pytest.mark.parametrize("names", [None, "questions system", "chat system"])
def test_what_is_learned_or_not_recorded_is_read(names):
    assert read(names, SYSTEM, ASKED) == (["be brief", "which?", "data:0"], [])


def test_a_system_message_is_left_out_unless_nothing_else_is_there():
    parts, (warning,) = read("questions", SYSTEM, SYSTEM | {"role": "developer"}, ASKED)
    assert parts == ["which?", "data:0"]
    assert warning == (
        "system messages are left out: this model never learned to follow system messages; "
        "it learned: questions"
    )
    assert read("chat", SYSTEM) == (["be brief"], [])


def test_a_model_of_captions_reads_the_last_image_alone():
    asked_again = {"role": "user", "content": "why?", "images": [IMAGES[1]]}
    parts, warnings = read("captions drawings", SYSTEM, ASKED, asked_again)
    assert parts == ["data:1"] and len(warnings) == 2
    assert "without the words beside it: this model never learned to answer questions" in warnings[1]
    assert read("captions", {"role": "user", "content": [IMAGES[0]]}) == (["data:0"], [])


@pytest.mark.parametrize(
    "names, message, modality, warns",
    [
        ("captions drawings", {"role": "user", "content": "a star"}, "text", "to chat"),
        ("captions drawings", {"role": "user", "content": "a star"}, "image", None),
        ("captions", {"role": "user", "content": "a star"}, "image", "to draw images from texts"),
        ("captions drawings", ASKED, "image", "to edit images"),
        ("drawings", ASKED, "text", "to answer questions"),
        ("captions", ASKED, "box", "to mark objects"),
    ],
)
def test_all_else_is_read_as_it_is_and_warned_about(names, message, modality, warns):
    before, _ = read(None, message)
    parts, warnings = read(names, message, modalities=(modality,))
    assert parts == before and len(warnings) == (warns is not None)
    assert warns is None or warns in warnings[0]


def test_an_answer_without_warnings_has_no_such_field():
    assert warning_fields(None) == {} and warning_fields(None, "a") == {"warnings": ["a"]}
