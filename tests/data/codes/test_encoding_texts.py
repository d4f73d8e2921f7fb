"""Any text comes back as it was, or is counted; none becomes a control id."""

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases import cases
from tests.tiny_codecs import tiny_codec
from unitok.data.codes.encoding import encode_documents
from unitok.data.codes.store_writer import write_store
from unitok.data.faults import Fault, Faults
from unitok.data.source import read
from unitok.data.sources import open_data
from unitok.modalities.text import clean

CODEC = tiny_codec()
CONTROLS = [
    "<pad>",
    "<s>",
    "</s>",
    "<|endoftext|>",
    "<image>",
    "<boi>",
    "<|im_start|>",
    "<unk>",
    "[MASK]",
    "<0x00>",
]
ANYTHING = st.text(
    st.characters(exclude_categories=[]) | st.sampled_from(["\0", "\ud800", "\udfff", "\u2028", "\x85"])
)
TEXTS = st.lists(
    st.one_of(ANYTHING, st.sampled_from(CONTROLS), st.text().map("<|{}|>".format)), max_size=4
).map("".join)


def control_ids(text: str) -> int:
    """Ids of a document that are no text, beyond the four around it: its own and the text's begin and end."""
    ids = CODEC.join(CODEC.encode((segment(text),))).ids.tolist()
    return sum(identity >= CODEC.modalities["text"].size for identity in ids) - 4


def segment(text: str):
    from unitok.document import Segment

    return Segment("text", text)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_texts_of_records_come_back(tmp_path_factory, texts):
    file = tmp_path_factory.mktemp("texts") / "t.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    source = open_data(file)
    assert len(source) == len(texts)
    faults = Faults(max_share=1)
    codes = encode_documents(source, CODEC, range(len(texts)), faults=faults)
    for text, coded in zip(texts, codes, strict=True):
        if not text.strip():
            assert coded is None
        else:
            assert CODEC.decode(coded)[0].content == clean(text.strip())
            assert control_ids(text) == 0
    assert faults.counts["empty caption"] == sum(not text.strip() for text in texts) == faults.total
    assert faults.repaired == sum(clean(text) != text for text in texts)


def test_lone_surrogates_become_the_mark_for_that():
    assert clean("a\ud800b\udfff😀") == "a\ufffdb\ufffd😀"


def strings(count: int):
    rng = random.Random(0)
    for _ in range(count):
        pieces = [
            rng.choice(CONTROLS),
            chr(rng.randrange(0x110000)),
            f"<{rng.randrange(20_000)}>",
            "".join(chr(rng.randrange(0x250)) for _ in range(rng.randrange(8))),
        ]
        yield "".join(rng.choices(pieces, k=rng.randint(1, 6)))


@cases(1_000, 100_000)
def test_strings_have_no_control_id(count):
    assert sum(map(control_ids, strings(count))) == 0


def test_a_megabyte_is_counted_and_costs_nothing_else(tmp_path):
    lines = ["a", "b" * 2**20, "c" * (2**20 + 1), "d" * 65_536, "e"]
    file = tmp_path / "t.jsonl"
    file.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    source = open_data(file)
    assert isinstance(read(source, 2), Fault)
    summary = write_store(tmp_path / "codes", source, CODEC, progress=False)
    report = json.loads((tmp_path / "codes/data_report.json").read_text())
    assert summary.documents == 3 and report["reasons"] == {"cannot be encoded": 1, "text too large": 1}


def test_bytes_that_are_no_text_are_counted(tmp_path):
    (tmp_path / "t.txt").write_bytes(b"one\n\n\xff\xfe\n\ntwo\0\n\n\xed\xa0\x80")
    source = open_data(tmp_path)
    found = [read(source, i) for i in range(4)]
    assert [one.reason if isinstance(one, Fault) else one[0].content for one in found] == [
        "one", "not UTF-8", "two\0", "not UTF-8",
    ]  # fmt: skip
    assert [one.offset for one in found if isinstance(one, Fault)] == [5, 15]
