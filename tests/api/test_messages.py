"""Messages as apply_chat_template takes them, and prompts of any kind."""

import base64
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_model import tiny_model
from unitok.api.messages import as_prompts, as_turns, assistant
from unitok.chat_template import ChatTemplate
from unitok.document import Segment

RED = Image.new("RGB", (12, 8), "red")
PLAIN = ChatTemplate()


def png() -> bytes:
    file = BytesIO()
    RED.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def path(tmp_path):
    RED.save(tmp_path / "red.png")
    return tmp_path / "red.png"


def test_an_image_of_a_message_may_be_of_any_kind(path):
    text = base64.b64encode(png()).decode()
    uri = f"data:image/png;base64,{text}"
    for source in (
        {"image": RED}, {"image": np.asarray(RED)}, {"image": str(path)}, {"path": path}, {"url": str(path)},
        {"base64": text}, {"base64": uri}, {"url": uri}, {"type": "image_url", "image_url": {"url": uri}},
        {"image": torch.from_numpy(np.asarray(RED).copy()).permute(2, 0, 1)},
    ):  # fmt: skip
        (turn,) = as_turns([{"role": "user", "content": [{"type": "image", **source}]}])
        assert turn.content[0].content.convert("RGB").tobytes() == RED.tobytes(), source


def test_parts_without_an_image_take_the_next():
    blue = Image.new("RGB", (12, 8), "blue")
    message = {
        "role": "user",
        "content": [{"type": "image"}, {"type": "text", "text": "a"}, {"type": "image"}],
    }
    (turn,) = as_turns([message], [RED, blue])
    assert [segment.content for segment in turn.content] == [RED, "a", blue]
    with pytest.raises(ValueError, match=r"as many parts .* as there are images, got more"):
        as_turns([message], [RED])
    with pytest.raises(ValueError, match="for each image, 1 have none"):
        as_turns([message], [RED, blue, RED])


def test_prompts_of_any_kind():
    message, text = {"role": "user", "content": "a"}, (Segment("text", "a"),)
    for value, count in (("a", 1), (["a", "a"], 2), ([message], 1), ([[message], "a", text], 3), ([text], 1)):
        documents = as_prompts(value, PLAIN)
        assert [[str(s.content) for s in document] for document in documents] == [["a"]] * count
    with pytest.raises(ValueError, match="got a dict: no processor comes first"):
        as_prompts({"input_ids": [1]}, PLAIN)


def test_a_conversation_is_that_of_the_models_template():
    model = tiny_model(chat=ChatTemplate(user_mark="U:", assistant_mark="A:"))
    document = (Segment("text", "U:"), Segment("text", "hi"), Segment("text", "A:"))
    options = {"target": "text", "max_new_tokens": 5}
    answer = model.generate([{"role": "user", "content": "hi"}], **options)[0][-1]
    assert answer == model.generate([document], **options)[0][-1]
    assert list(model.stream([{"role": "user", "content": "hi"}], **options))[-1].content == answer.content


def test_the_message_of_an_answer():
    assert assistant([Segment("text", "a")]) == {"role": "assistant", "content": "a"}
    parts = assistant([Segment("text", "a"), Segment("image", RED)])["content"]
    assert parts == [{"type": "text", "text": "a"}, {"type": "image", "image": RED}]
    assert as_turns([{"role": "assistant", "content": parts}])[0].content[1].content is RED
