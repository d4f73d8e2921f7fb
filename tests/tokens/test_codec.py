"""Documents survive the way to ids and back; the cursor and the layout agree."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases import cases
from tests.tiny_codecs import GridModality, random_codes, tiny_codec
from unitok.document import Codes, Segment, same

CODECS = [
    tiny_codec(shape=shape, positions=positions)
    for shape in (None, (2, 3))
    for positions in ("grid", "sequential")
]


@cases()
def test_random_documents_survive_join_and_split(count):
    rng = random.Random(0)
    for n in range(count):
        codec = CODECS[n % len(CODECS)]
        codes = random_codes(codec, rng)
        back = codec.split(codec.join(codes).ids)
        assert len(back) == len(codes) and all(map(same, codes, back))


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32), which=st.integers(0, len(CODECS) - 1))
def test_stepping_the_cursor_reproduces_the_layout(seed, which):
    codec = CODECS[which]
    tokens = codec.join(random_codes(codec, random.Random(seed)))
    cursor = codec.cursor()
    for token, position in zip(tokens.ids.tolist(), tokens.positions.tolist(), strict=True):
        assert cursor.position == tuple(position)
        assert token in cursor.legal
        cursor.push(token)
    assert cursor.done and cursor.legal == ()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), which=st.integers(0, len(CODECS) - 1))
def test_only_ids_with_an_alternative_are_learned_and_each_is_in_one_group(seed, which):
    codec = CODECS[which]
    codes = [Codes(c.modality, c.codes, c.shape) for c in random_codes(codec, random.Random(seed))]
    tokens, cursor = codec.join(codes), codec.cursor()
    for token, learn in zip(tokens.ids.tolist(), tokens.learn.tolist(), strict=True):
        groups = [set(group.ids) for group in codec.groups if token in group.ids]
        assert learn == (len(cursor.legal) > 1)
        assert not learn or groups == [set(cursor.legal)]
        cursor.push(token)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 9),
    which=st.integers(0, len(CODECS) - 1),
    open=st.sampled_from([None, "text", "image"]),
    done=st.booleans(),
)
def test_documents_are_laid_out_together_as_they_are_one_by_one(seed, count, which, open, done):
    codec, rng = CODECS[which], random.Random(seed)
    documents = [random_codes(codec, rng) for _ in range(count)]
    laid = codec.lay_out(documents, open=open, done=done)
    single = [codec.join(codes, open=open, done=done) for codes in documents]
    assert laid.lengths == [len(tokens) for tokens in single]
    for name in ("ids", "positions", "learn"):
        alone = [one for tokens in single for one in getattr(tokens, name).tolist()]
        assert getattr(laid, name).tolist() == alone


def test_one_layout_serves_more_shapes_than_it_caches(monkeypatch):
    monkeypatch.setattr("unitok.tokens.layout.CACHE_SIZE", 2)
    codec, rng = tiny_codec(), random.Random(2)
    for _ in range(50):
        codes = random_codes(codec, rng)
        assert torch.equal(codec.join(codes).positions, tiny_codec().join(codes).positions)
        assert len(codec._layout._cache) <= 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Codes("image", torch.arange(5), (2, 3)), "image of shape .2, 3. must have 6 codes, got 5"),
        (
            Codes("image", torch.tensor([0, 1, 2, 3, 4, 99]), (2, 3)),
            "'image' must be in 0..6, got 99",
        ),
        (Codes("text", torch.tensor([-1]), (1,)), "codes of 'text' must be in 0..255, got -1"),
        (Codes("sound", torch.tensor([1]), (1,)), "modality must be one of text, image, got 'sound'"),
    ],
)
def test_codes_that_are_none_are_refused_among_others_too(wrong, said):
    codec = tiny_codec(shape=(2, 3))
    whole = [Codes("image", torch.arange(6), (2, 3))]
    with pytest.raises(ValueError, match=said):
        codec.lay_out([whole, [wrong], whole])


def test_an_appended_modality_changes_no_id():
    rng = random.Random(1)
    small, large = tiny_codec(), tiny_codec(more=[GridModality("depth", codebook=3, shape=(2, 2))])
    for _ in range(200):
        codes = random_codes(small, rng)
        assert torch.equal(small.join(codes).ids, large.join(codes).ids)


def test_a_grid_starts_where_its_segment_does_and_time_goes_on_after_it():
    codec = tiny_codec(shape=(2, 3))
    tokens = codec.join([Codes("image", torch.arange(6), (2, 3)), Codes("text", torch.tensor([5]), (1,))])
    assert tokens.positions.tolist() == [
        [0, 0, 0],
        [1, 1, 1],
        *([2, 2 + row, 2 + column] for row in range(2) for column in range(3)),
        *([t, t, t] for t in range(5, 10)),
    ]


def test_an_open_prompt_ends_with_the_begin_of_its_target():
    codec = tiny_codec()
    tokens = codec.join([Codes("text", torch.tensor([1, 2]), (2,))], open="image")
    assert tokens.ids[-1] == codec.vocabulary.begin("image")
    assert codec.vocabulary.document_end not in tokens.ids.tolist()


@pytest.mark.parametrize("broken", ["empty", "no_end", "stray", "short_image"])
def test_ids_that_are_no_document_are_refused(broken):
    codec = tiny_codec(shape=(2, 3))
    ids = codec.join([Codes("image", torch.arange(6), (2, 3))]).ids
    wrong = {
        "empty": ids[:0],
        "no_end": ids[:-1],
        "stray": torch.cat((ids[:1], ids[2:])),
        "short_image": torch.cat((ids[:4], ids[5:])),
    }[broken]
    with pytest.raises(ValueError, match=r"\d"):
        codec.split(wrong)


def test_the_cursor_refuses_an_illegal_id_and_names_the_legal_ones():
    cursor = tiny_codec(shape=(2, 3)).cursor()
    with pytest.raises(ValueError, match=r"id between segments must be one of .* got 5"):
        cursor.push(5)


def test_a_forced_shape_leaves_one_legal_header():
    codec = tiny_codec()
    cursor = codec.cursor(shapes={"image": (3, 2)})
    for token in (codec.vocabulary.document_begin, codec.vocabulary.begin("image")):
        cursor.push(token)
    for _ in range(2):
        assert len(cursor.legal) == 1
        cursor.push(cursor.legal[0])
    assert len(cursor.lookahead(99)) == 6


def test_codes_in_a_document_stay_as_they_are():
    codec = tiny_codec()
    drawn = Codes("image", torch.tensor([3, 1]), (1, 2), learn=False)
    text, kept = codec.encode((Segment("text", "ab"), drawn))
    assert kept is drawn and text.codes.numel() == 2
    assert codec.encode((drawn,)) == [drawn]


def test_segments_of_several_documents_are_encoded_together_and_come_back_in_place():
    codec = tiny_codec()
    documents = [(Segment("text", "a cat"), Segment("image", torch.ones(2, 2, dtype=torch.long))), (),
                 (Segment("image", torch.zeros(1, 3, dtype=torch.long)), Segment("text", "ü"))]  # fmt: skip
    back = codec.decode_many(codec.encode_many(documents))
    assert [[s.modality for s in d] for d in back] == [["text", "image"], [], ["image", "text"]]
    assert back[0][0].content == "a cat" and back[2][1].content == "ü"


CONTROL_NAMES = [
    "<pad>",
    "<document_begin>",
    "<|endoftext|>",
    "<boi>",
    "</s>",
    "[PAD]",
    "<image>",
    "<|im_start|>",
]


@given(st.text(max_size=40), st.sampled_from(CONTROL_NAMES), st.text(max_size=40))
def test_no_text_becomes_a_control_id(before, name, after):
    codec = CODECS[0]
    ids = codec.join(codec.encode((Segment("text", before + name + after),))).ids.tolist()
    vocabulary = codec.vocabulary
    assert ids[:2] == [vocabulary.document_begin, vocabulary.begin("text")]
    assert ids[-2:] == [vocabulary.end("text"), vocabulary.document_end]
    assert all(i in vocabulary.codes("text") for i in ids[2:-2])
