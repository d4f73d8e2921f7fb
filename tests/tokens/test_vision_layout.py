"""Shown images are ids above the vocabulary, on a grid, that are never learned and never legal."""

import random
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import cases
from tests.tiny_codecs import SEEING, random_codes, seeing_codec, shown_image, tiny_codec
from unitok.document import ONE_TILE, Codes, Features
from unitok.tokens.codec import Codec
from unitok.tokens.vision_layout import global_grid
from unitok.tokens.vocabulary import Vocabulary

SIDES = st.integers(1, 4)
KINDS = [seeing_codec(**options) for options in SEEING.values()]


@cache
def images_of(codec: Codec) -> list[Codes]:
    return [shown_image(codec, number) for number in range(4)]


def some_document(codec: Codec, rng: random.Random) -> list[Codes]:
    codes = random_codes(codec, rng)
    for _ in range(rng.randrange(3)):
        image = replace(rng.choice(images_of(codec)), learn=rng.random() < 0.3)
        codes.insert(rng.randint(0, len(codes)), image)
    return codes


@cases()
def test_documents_laid_out_together_are_those_alone_with_vectors_numbered_on(count):
    rng = random.Random(0)
    for n in range(count // 4):
        codec = KINDS[n % len(KINDS)]
        documents = [some_document(codec, rng) for _ in range(4)]
        flat, start, vectors = codec.lay_out(documents), 0, 0
        first = codec.vocabulary.size
        for codes, length in zip(documents, flat.lengths, strict=True):
            alone, ids = codec.join(codes), flat.ids[start : start + length].copy()
            ids[ids >= first] -= vectors
            assert ids.tolist() == alone.ids.tolist()
            assert flat.positions[start : start + length].tolist() == alone.positions.tolist()
            assert flat.learn[start : start + length].tolist() == alone.learn.tolist()
            assert not alone.learn[alone.ids >= first].any() and len(alone) == codec.length(codes)
            start, vectors = start + length, vectors + sum(one.count for one in alone.features)
        assert (flat.ids >= first).sum() == vectors == sum(one.count for one in flat.features)
        tiles = sum(len(one.values) for one in flat.features)
        assert (0 if flat.tiles is None else len(flat.tiles)) == tiles


def test_a_document_without_shown_images_has_the_ids_of_a_model_without_vision():
    rng, plain = random.Random(1), tiny_codec(shape=(2, 2))
    for _ in range(30):
        codes = random_codes(plain, rng)
        assert torch.equal(plain.join(codes).ids, KINDS[0].join(codes).ids)


def test_vectors_lie_on_a_grid_and_time_goes_on_after_it():
    codec = seeing_codec()
    tokens = codec.join([shown_image(codec, 0), Codes("text", torch.tensor([5]), (1,))])
    words = codec.vocabulary
    vectors = list(words.vectors(6))
    assert tokens.ids.tolist() == [
        *(words.document_begin, words.begin("vision"), *vectors, words.end("vision")),
        *(words.begin("text"), 5, words.end("text"), words.document_end),
    ]
    assert tokens.positions.tolist() == [
        [0, 0, 0],
        [1, 1, 1],
        *([2, 2 + row, 2 + column] for row in range(2) for column in range(3)),
        *([t, t, t] for t in range(5, 10)),
    ]


def test_rows_and_columns_run_over_all_tiles_after_a_thumbnail():
    codec, first = KINDS[list(SEEING).index("tiles")], 2
    (image,) = [image for image in images_of(codec) if image.features.arrangements == ((1, 1), (2, 2))]
    tokens = codec.join([image])
    places = tokens.positions[2:-2] - first
    assert image.features.count == len(places) == 5 * 6
    thumbnail, tiles = places[:6], places[6:]
    assert thumbnail.tolist() == [[0, row, column] for row in range(2) for column in range(3)]
    assert sorted(tiles.tolist()) == [[1, row, column] for row in range(4) for column in range(6)]
    assert tiles[:7].tolist() == [*([1, r, c] for r in range(2) for c in range(3)), [1, 0, 3]]
    assert tokens.positions[-2].tolist() == [first + 6] * 3


@given(shape=st.tuples(SIDES, SIDES), tiles=st.tuples(SIDES, SIDES), before=st.sampled_from([(), ONE_TILE]))
def test_each_vector_has_a_place_of_its_own_and_none_is_empty(shape, tiles, before):
    features = Features(torch.empty(0), shape, b"", (*before, tiles))
    places = {tuple(place) for place in global_grid(features).tolist()}
    expected = {
        (time, row, column)
        for time, (rows, columns) in enumerate(features.arrangements)
        for row in range(rows * shape[0])
        for column in range(columns * shape[1])
    }
    assert places == expected and len(places) == features.count


def test_vectors_without_places_lie_on_a_line():
    codec = KINDS[list(SEEING).index("queries of tiles")]
    (image,) = [image for image in images_of(codec) if image.features.arrangements == ((1, 1), (1, 2))]
    places = codec.join([image]).positions[1:12]
    assert image.features.count == 9 and places.tolist() == [[time] * 3 for time in range(1, 12)]


def test_what_is_read_alone_is_never_legal_and_never_learned():
    codec = seeing_codec()
    legal = {*codec.vocabulary.starters, *(id for group in codec.groups for id in group.ids)}
    words = codec.vocabulary
    assert legal.isdisjoint([words.begin("vision"), words.end("vision"), *words.vectors(9)])
    with pytest.raises(ValueError, match="must begin a segment of codes"):
        codec.split(codec.join([shown_image(codec, 0)]).ids)


def test_a_vocabulary_grows_by_two_ids():
    plain, seeing = Vocabulary({"text": 9, "image": 4}), Vocabulary({"text": 9, "image": 4, "vision": 0})
    assert seeing.size == plain.size + 2 and seeing.starters == plain.starters
    with pytest.raises(ValueError, match="modality 'text' must have at least 1 codes, got 0"):
        Vocabulary({"text": 0})
    with pytest.raises(ValueError, match="modality 'image' must have at least 0 codes, got -1"):
        Vocabulary({"text": 1, "image": -1})


def test_an_image_of_codes_alone_is_laid_out_as_codes_where_a_model_sees():
    codec = seeing_codec()
    written = Codes("image", torch.arange(4), (2, 2), learn=False)
    assert codec.vocabulary.begin("image") in codec.join([written]).ids.tolist()
