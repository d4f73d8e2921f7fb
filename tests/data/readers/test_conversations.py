"""Conversations of LLaVA and of messages: what the assistant says is learned."""

import json

import pytest

from tests.data.samples import all_told, formats, told, whole, write_lines
from unitok.data.source import read


def test_llava_conversations_learn_what_gpt_says(image_folder):
    turns = [{"from": "human", "value": "<image>\nWhich?"}, {"from": "gpt", "value": "Red."}]
    records = [
        {"id": 1, "image": "red.png", "conversations": [*turns, {"from": "human", "value": "No?"}, turns[1]]},
        {"image": ["red.png", "deep/blue.png"], "conversations": [
            {"from": "human", "value": "A <image> or <image>?"}, {"from": "gpt", "value": "Both."}]},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {"image": "red.png", "conversations": [{"from": "human", "value": "Which?"}, turns[1]]},
        {"conversations": turns},
        {"image": ["red.png", "red.png"], "conversations": turns},
        {"image": "red.png", "conversations": turns[:1]},
        {"image": "red.png", "conversations": [{"from": "human"}]},
    ]  # fmt: skip
    file = image_folder / "llava.json"
    file.write_text(json.dumps(records))
    assert formats(file) == "llava"
    source = whole(file)
    assert [told(source[i]) for i in range(4)] == [
        ["~<red>", "~Which?", "Red.", "~No?", "Red."],
        ["~A", "~<red>", "~or", "~<blue>", "~?", "Both."],
        ["~Hi", "Hello"],
        ["~<red>", "~Which?", "Red."],
    ]
    assert [read(source, i).reason for i in range(4, 8)] == [
        *("parts do not match", "parts do not match", "no caption", "caption is no text"),
    ]  # fmt: skip


def test_messages_learn_what_the_assistant_says_and_draws(image_folder):
    def parts(*kinds):
        return [{"type": "image"} if kind is None else {"type": "text", "text": kind} for kind in kinds]

    file = write_lines(
        image_folder / "chat.jsonl",
        [
            {"images": ["red.png", "deep/blue.png"], "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": parts(None, "Turn it blue.")},
                {"role": "assistant", "content": parts("There:", None)}]},
            {"messages": [{"role": "user", "content": [{"type": "image", "path": "red.png"}]},
                          {"role": "assistant", "content": "Red."}]},
            {"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "Red."}],
             "images": [{"path": "red.png"}]},
            {"images": ["red.png"], "messages": [
                {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Which?"},
                {"role": "assistant", "content": "Red."}]},
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
            {"messages": [{"role": "user", "content": 3}]},
        ],
    )  # fmt: skip
    assert formats(file) == "messages"
    source = whole(file)
    assert [told(source[i]) for i in range(4)] == [
        ["~Be kind.", "~<red>", "~Turn it blue.", "There:", "<blue>"],
        ["~<red>", "Red."],
        ["~<red>", "~?", "Red."],
        ["~Be kind.", "~<red>", "~Which?", "Red."],
    ]
    assert [read(source, i).reason for i in (4, 5)] == ["caption is no text"] * 2


NOTHING = [None, "", " ", [], [""], [None], {"bytes": None, "path": None}, [{"bytes": None, "path": ""}]]


@pytest.mark.parametrize("name", ["image", "images"])
@pytest.mark.parametrize("value", NOTHING)
def test_a_conversation_that_names_no_image_has_none(tmp_path, name, value):
    llava = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    for format, turns in (("llava", {"conversations": llava}), ("messages", {"messages": said})):
        source = whole(write_lines(tmp_path / f"{format}.jsonl", [{name: value, **turns}]))
        assert source.format == format and all_told(source) == [["~Hi", "Hello"]]


def test_images_without_a_mark_come_first_in_both_formats(image_folder):
    turns = [("user", "Which?"), ("assistant", "Red."), ("user", "No?"), ("assistant", "Yes.")]
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    for first, expected in (
        ([], ["~<red>", "~<blue>", "~Which?", "Red.", "~No?", "Yes."]),
        ([("system", "Be brief.")], ["~Be brief.", "~<red>", "~<blue>", "~Which?", "Red.", "~No?", "Yes."]),
        ([("assistant", "Hello")], ["~<red>", "~<blue>", "Hello", "~Which?", "Red.", "~No?", "Yes."]),
    ):
        said = [*first, *turns]
        for name, record in {
            "llava": {"conversations": [{"from": names[role], "value": value} for role, value in said]},
            "messages": {"messages": [{"role": role, "content": value} for role, value in said]},
        }.items():
            file = write_lines(
                image_folder / f"{name}.jsonl", [{"images": ["red.png", "deep/blue.png"], **record}]
            )
            assert all_told(whole(file)) == [expected]
