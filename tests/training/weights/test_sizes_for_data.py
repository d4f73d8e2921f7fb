"""Sizes are completed by the data; those that do not fit are refused by the setting's name."""

import pytest

from tests.tiny_codecs import byte_text, seeing_codec, tiny_codec
from unitok.models.transformer_config import BlockVariant, TransformerSizes
from unitok.tokens.codec import Codec
from unitok.training.weights.sizes_for_data import config_for

SEEING = seeing_codec()
FITTING = {"answers": "all", "attention": "sdpa"}


def sizes(*, latest_image: bool = False, **variant) -> TransformerSizes:
    return TransformerSizes(variant=BlockVariant(**variant), latest_image=latest_image)


def test_the_vocabulary_and_where_it_matters_the_ids_of_images_are_added():
    codec = tiny_codec()
    plain, latest = (config_for(sizes(latest_image=one), codec, **FITTING) for one in (False, True))
    ids = codec.vocabulary.ids("image")
    assert plain.vocab_size == latest.vocab_size == codec.vocabulary.size
    assert plain.images is None and latest.images == (ids.start, ids.stop)


@pytest.mark.parametrize(
    ("chosen", "codec", "changed", "said"),
    [
        (sizes(bidirectional="prefix"), SEEING, {}, "prefix needs data.task.answers=one, got all"),
        (sizes(bidirectional="images"), tiny_codec(), {}, "data.codec.vision, got none"),
        (sizes(visual_rank=2), tiny_codec(), {}, "visual_rank=2 needs images that are seen"),
        (sizes(cross_every=1), SEEING, {}, "must be given together, got 1 and false"),
        (sizes(), seeing_codec(one_place=True), {}, "must be given together, got 0 and true"),
        (sizes(latest_image=True), SEEING, {}, "data.codec.vision must be null"),
        (sizes(latest_image=True), tiny_codec(), {"attention": "flex"}, "attention=sdpa, got flex"),
        (sizes(latest_image=True), Codec([byte_text()]), {}, "data with images, got data of text"),
    ],
)
def test_what_does_not_fit_is_named(chosen, codec, changed, said):
    with pytest.raises(ValueError, match=said):
        config_for(chosen, codec, **FITTING | changed)


def test_what_fits_is_taken():
    assert config_for(sizes(bidirectional="images"), SEEING, **FITTING)
    assert config_for(sizes(bidirectional="prefix"), SEEING, **FITTING | {"answers": "one"})
    assert config_for(sizes(visual_rank=2), SEEING, **FITTING)
    assert config_for(sizes(cross_every=2), seeing_codec(one_place=True), **FITTING)
