"""One template makes documents of conversations: in training, in the model's folder, and for the server."""

import base64
import io
import json
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from tests.data.samples import told
from tests.tiny_model import tiny_model
from unitok.api.unitok import UniTok
from unitok.chat_template import ChatTemplate, Turn
from unitok.data.sources import open_data
from unitok.document import Segment
from unitok.modalities.text import TextModality

RED, BLUE = (Image.new("RGB", (12, 8), colour) for colour in ("red", "blue"))
MARKED = ChatTemplate(
    system="Answer in a word.", system_mark="system:", user_mark="user:", assistant_mark="assistant:"
)
CONVERSATION = [
    Turn("user", (Segment("image", RED), Segment("image", BLUE), Segment("text", "which is red?"))),
    Turn("assistant", (Segment("text", "the first"),)),
    Turn("user", (Segment("text", "draw it"),)),
    Turn("assistant", (Segment("image", RED),)),
]


def test_plain_turns_follow_each_other():
    assert told(ChatTemplate().render(CONVERSATION)) == [
        "~<red>", "~<blue>", "~which is red?", "the first", "~draw it", "<red>"
    ]  # fmt: skip


def test_a_conversation_with_marks_and_a_system():
    assert told(MARKED.render(CONVERSATION)) == [
        *("~system:", "~Answer in a word."),
        *("~user:", "~<red>", "~<blue>", "~which is red?", "~assistant:", "the first"),
        *("~user:", "~draw it", "~assistant:", "<red>"),
    ]


def test_everything_is_learned_if_the_template_says_so():
    assert all(segment.learn for segment in ChatTemplate(user_mark="u", learn="all").render(CONVERSATION))


def test_a_system_turn_stands_in_place_of_the_templates():
    own = [Turn("system", (Segment("text", "Be kind."),)), *CONVERSATION[:1]]
    assert told(MARKED.render(own))[:3] == ["~system:", "~Be kind.", "~user:"]
    silent = [Turn("system", ()), *CONVERSATION[:1]]
    assert told(MARKED.render(silent))[0] == "~user:"


def test_a_turn_that_says_nothing_has_no_mark():
    turns = [*CONVERSATION[:1], Turn("assistant", ()), Turn("user", ())]
    assert MARKED.render(turns) == MARKED.render(CONVERSATION[:1])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=3)), max_size=5))
def test_turn_by_turn_is_the_same_as_all_at_once(said):
    turns = [Turn(role, (Segment("text", text),)) for role, text in said]
    for number in range(1, len(turns)):
        if turns[number - 1].role != "assistant" and turns[number].role == "assistant":
            document = MARKED.prompt(turns[:number])
            grown = MARKED.prompt(turns[number + 1 :], past=(*document, *turns[number].content))
            assert grown == MARKED.prompt(turns)


def test_the_assistant_goes_on_where_it_is():
    assert told(MARKED.prompt(CONVERSATION[:1]))[-2:] == ["which is red?", "assistant:"]
    assert told(MARKED.prompt(CONVERSATION[:2]))[-1] == "the first"
    past = MARKED.prompt(CONVERSATION[:2])
    assert MARKED.prompt(past=past) == past
    assert told(MARKED.prompt()) == ["system:", "Answer in a word.", "assistant:"]
    assert ChatTemplate().prompt() == ()


@given(st.text(max_size=20) | st.sampled_from(["user:", "assistant:", "system:", " user:"]))
def test_nobody_can_say_a_mark_or_a_control_id(text):
    template = ChatTemplate(user_mark="user:", assistant_mark="assistant:", system_mark="system:")
    _, segment, mark = template.prompt([Turn("user", (Segment("text", text),))])
    assert segment.content.removeprefix(" ") == text.removeprefix(" ")
    assert segment.content not in ("user:", "assistant:", "system:") and mark.content == "assistant:"
    codec = MODEL.codec
    ids = codec.join(codec.encode((segment,)), done=False).ids.tolist()
    vocabulary = codec.vocabulary
    end = vocabulary.end("text")
    assert ids[:2] == [vocabulary.document_begin, vocabulary.begin("text")] and ids[-1] == end
    assert all(id in vocabulary.block("text") and id != end for id in ids[2:-1])


def byte_bpe(normalizer, *, prefix: bool = False) -> TextModality:
    """Bytes after a normaliser, and after a blank that is put before every text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.normalizer, tokenizer.decoder = normalizer, decoders.ByteLevel()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    return TextModality(tokenizer)


NORMALISERS = {
    "nothing": byte_bpe(normalizers.Sequence([])),
    "compatibility": byte_bpe(normalizers.NFKC()),
    "case and accents": byte_bpe(normalizers.BertNormalizer()),
    "blanks": byte_bpe(normalizers.Sequence([normalizers.NFKC(), normalizers.Strip()])),
    "all blanks": byte_bpe(normalizers.Replace(" ", "")),
    "all but letters": byte_bpe(normalizers.Replace(Regex(r"[^a-z]"), "")),
    "a blank before": byte_bpe(normalizers.Lowercase(), prefix=True),
    "a blank put before": byte_bpe(normalizers.Prepend(" ")),
}
MARKS = [mark for mark in ("user:", "assistant:", "system:")]
DISGUISES = [
    str, str.upper, str.title, " {}".format, "{} ".format, "\u3000{}\t".format, "".join,
    lambda text: text.translate({ord(c): ord(c) + 0xFEE0 for c in text}), lambda text: ".".join(text),
    lambda text: "\u0301".join(text), lambda text: text.replace("s", "\u017f").replace(":", "\ufe13"),
]  # fmt: skip


@pytest.mark.parametrize("name", NORMALISERS)
@settings(max_examples=60)
@given(
    st.sampled_from(["system", "user", "assistant"]),
    st.builds(lambda mark, how: how(mark), st.sampled_from(MARKS), st.sampled_from(DISGUISES))
    | st.text(max_size=9),
)
def test_nobody_can_say_a_mark_whatever_the_tokenizer_makes_of_letters(name, role, text):
    template = ChatTemplate(user_mark="user:", assistant_mark="assistant:", system_mark="system:")
    modality = NORMALISERS[name]
    codes = [modality.encode(mark)[0].tolist() for mark in MARKS]
    for document in (
        template.prompt([Turn(role, (Segment("text", text),))]),
        template.render([Turn(role, (Segment("text", text),))]),
        pickle.loads(pickle.dumps(template.prompt([Turn(role, (Segment("text", text),))]))),
    ):
        mark, said = document[:2]
        assert modality.encode(mark.content)[0].tolist() in codes
        assert modality.encode(said.content)[0].tolist() not in codes


def test_what_is_no_mark_keeps_its_codes():
    for modality in NORMALISERS.values():
        for text in ("hello", "the user: me", "user", ""):
            (_, said, _) = ChatTemplate(user_mark="user:", assistant_mark="a:").prompt(
                [Turn("user", (Segment("text", text),))]
            )
            if modality is not NORMALISERS["all but letters"]:
                assert torch.equal(modality.encode(said.content)[0], modality.encode(text)[0])


def test_a_tokenizer_that_reads_everything_as_a_mark_is_told_of():
    modality = byte_bpe(normalizers.Replace(Regex(r"[\s\S]+"), "x"))
    with pytest.raises(ValueError, match="as a mark of the chat template"):
        modality.encode(
            ChatTemplate(user_mark="u").prompt([Turn("user", (Segment("text", "hi"),))])[1].content
        )


def test_two_roles_have_no_mark_in_common():
    with pytest.raises(ValueError, match="must be distinct, got ':', ':'"):
        ChatTemplate(user_mark=":", assistant_mark=":")


# ---- the model's folder, training and serving

MODEL = tiny_model(chat=MARKED)


def test_a_folder_keeps_it(tmp_path):
    MODEL.save_pretrained(tmp_path / "model")
    assert UniTok.from_pretrained(tmp_path / "model", device="cpu").chat == MARKED
    config = json.loads((tmp_path / "model/config.json").read_text())
    del config["chat"]
    (tmp_path / "model/config.json").write_text(json.dumps(config))
    assert UniTok.from_pretrained(tmp_path / "model", device="cpu").chat == ChatTemplate()
    (tmp_path / "model/config.json").write_text(json.dumps(config | {"chat": {"mark": "x"}}))
    with pytest.raises(ValueError, match=r"config\.json: chat: .*mark"):
        UniTok.from_pretrained(tmp_path / "model", device="cpu")


def png(image):
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


MESSAGES = [
    {"role": "user", "content": [{"type": "image"}, {"type": "image"},
                                 {"type": "text", "text": "which is red?"}]},
    {"role": "assistant", "content": "the first"},
    {"role": "user", "content": "draw it"},
    {"role": "assistant", "content": "<image>"},
]  # fmt: skip


def written(folder):
    """A file of one conversation, with its images."""
    for name, image in (("red", RED), ("blue", BLUE)):
        (folder / f"{name}.png").write_bytes(png(image))
    record = {"messages": MESSAGES, "images": ["red.png", "blue.png", "red.png"]}
    (folder / "chat.jsonl").write_text(json.dumps(record) + "\n")
    return folder / "chat.jsonl"


@pytest.mark.parametrize("template", [ChatTemplate(), MARKED], ids=["plain", "marked"])
def test_the_server_asks_as_training_told(tmp_path, template):
    wire = pytest.importorskip("unitok.server.schemas")
    from unitok.server.image_io import build_document

    trained = open_data(written(tmp_path)).with_chat(template)[0]
    uris = (f"data:image/png;base64,{base64.b64encode(png(image)).decode()}" for image in (RED, BLUE))
    asked = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
    sent = [{"role": "user", "content": [*asked, MESSAGES[0]["content"][2]]}, *MESSAGES[1:3]]
    prompt = build_document([wire.Message(**m) for m in sent], template, [RED, BLUE])
    codec = MODEL.codec
    before = codec.join(codec.encode(trained[:-1]), done=False)  # all but the last answer
    assert torch.equal(codec.join(codec.encode(prompt), done=False).ids, before.ids)


def test_llavas_conversations_by_a_template(tmp_path):
    (tmp_path / "red.png").write_bytes(png(RED))
    turns = [{"from": "system", "value": "Be kind."}, {"from": "human", "value": "which?"},
             {"from": "gpt", "value": "red"}]  # fmt: skip
    records = [{"image": "red.png", "conversations": turns}, {"image": "red.png", "conversations": turns[1:]}]
    (tmp_path / "llava.json").write_text(json.dumps(records))
    source = open_data(tmp_path / "llava.json").with_chat(MARKED)
    answered = ["~user:", "~<red>", "~which?", "~assistant:", "red"]
    assert told(source[0]) == ["~system:", "~Be kind.", *answered]
    assert told(source[1]) == ["~system:", "~Answer in a word.", *answered]
