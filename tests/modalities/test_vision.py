"""What is written has codes, what is shown has features, and what may be either has both."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.generation.test_likelihood import make_image
from tests.tiny_model import tiny_model
from unitok.document import Segment, same
from unitok.modalities.vision import Vision, VisionConfig
from unitok.models.vision.bridge import Projector
from unitok.models.vision.encoder import Latents, Patches
from unitok.models.vision.qformer import QFormer
from unitok.models.vision.resampler import Resampler


@pytest.mark.parametrize("with_codes", [False, True])
def test_features_and_codes_are_made_where_they_are_used(with_codes):
    codec = tiny_model(vision=VisionConfig(with_codes=with_codes)).codec
    image = make_image(1)
    (shown, text, either) = codec.encode(
        (Segment("image", image, learn=False), Segment("text", "a"), Segment("image", image))
    )
    assert shown.shown and shown.codes.numel() == (6 if with_codes else 0)
    assert text.features is None and not text.shown
    assert not either.shown and either.codes.numel() == 6
    assert torch.equal(either.features.values, shown.features.values)


def test_images_of_equal_codes_are_told_apart():
    codec = tiny_model(vision=VisionConfig()).codec
    first, second = (
        codec.encode((Segment("image", Image.new("RGB", (12, 8), colour), learn=False),))[0]
        for colour in ((10, 10, 10), (10, 10, 11))
    )
    assert not same(first, second) and same(first, first)
    assert codec.join([first]).ids.tolist() == codec.join([second]).ids.tolist()
    assert codec.join([first]).digest != codec.join([second]).digest


@pytest.mark.parametrize("precompute", [True, False])
def test_a_blank_tile_has_the_kind_of_any_other(precompute):
    codec = tiny_model(vision=VisionConfig(precompute=precompute)).codec
    seen, blank = codec.vision.see(make_image(1)).values, codec.vision.tile
    assert (seen.shape, seen.dtype) == (blank.shape, blank.dtype)


def test_settings_survive_json_and_change_the_fingerprint():
    tokenizer = tiny_model().codec.image.tokenizer
    configs = [
        VisionConfig(Latents()),
        VisionConfig(Latents(size=(8, 12)), precompute=False),
        VisionConfig(Patches(4), Projector(hidden=3)),
        VisionConfig(Patches(4), Projector(merge=2)),
        VisionConfig(Patches(4), Resampler(queries=3), tiles=2),
        VisionConfig(Patches(4), QFormer(queries=3), tiles=2, thumbnail=False),
    ]
    assert [VisionConfig.from_json(config.to_json()) for config in configs] == configs
    prints = {Vision(config, tokenizer, size=(8, 8)).fingerprint() for config in configs}
    assert len(prints) == len(configs)
    more = [Vision(VisionConfig(tiles=n, thumbnail=n < 3), tokenizer, size=(8, 8)) for n in (1, 2, 3)]
    assert (
        len({one.tile_fingerprint() for one in more}) == 1 and len({one.fingerprint() for one in more}) == 3
    )


def test_a_config_says_no_more_than_it_did_where_it_has_one_tile_and_merges_nothing():
    assert VisionConfig().to_json() == {
        "encoder": {"kind": "Latents", "size": None},
        "bridge": {"kind": "Projector", "hidden": 0, "norm": "before", "bias": True},
        "precompute": True,
        "with_codes": False,
    }


@given(width=st.integers(1, 60), height=st.integers(1, 60), tiles=st.integers(1, 5), thumbnail=st.booleans())
def test_an_image_is_seen_whole_and_the_same_once_fitted(width, height, tiles, thumbnail):
    vision = Vision(VisionConfig(Patches(2, size=(4, 6)), tiles=tiles, thumbnail=thumbnail, precompute=False))
    image = Image.effect_noise((width, height), 90).convert("RGB")
    whole, seen = vision.fit(image), vision.see(image)
    again = vision.see(whole)
    assert seen.digest == again.digest and torch.equal(seen.values, again.values)
    *first, (rows, columns) = seen.arrangements
    assert whole.size == (columns * 6, rows * 4) and rows * columns <= tiles
    assert first == [(1, 1)] * (thumbnail and rows * columns > 1)
    cut = seen.values[-rows * columns :].view(rows, columns, 3, 4, 6)
    pixels = torch.from_numpy(np.array(whole)).permute(2, 0, 1)
    assert torch.equal(cut.permute(2, 0, 3, 1, 4).reshape(pixels.shape), pixels)
    if tiles > 1:
        assert np.array_equal(whole, np.asarray(image.resize(whole.size, Image.Resampling.BICUBIC)))


def test_images_of_equal_pixels_in_other_arrangements_are_told_apart():
    vision = Vision(VisionConfig(Patches(2, size=(4, 4)), tiles=2, thumbnail=False))
    wide, high = (vision.see(Image.new("RGB", size)) for size in ((8, 4), (4, 8)))
    assert torch.equal(wide.values, high.values) and wide.digest != high.digest


def test_numbers_of_tiles_that_cannot_be_are_refused():
    for tiles in (0, 65, True):
        with pytest.raises(ValueError, match=f"tiles must be an integer in 1..64, got {tiles}"):
            VisionConfig(tiles=tiles)


def test_an_image_is_fitted_to_the_larger_of_what_draws_and_what_sees():
    image = Image.new("RGB", (200, 100))
    sizes = {size: tiny_model(vision=VisionConfig(Patches(2, size=size))).codec.fit(image).size for size in
             ((4, 6), (40, 80))}  # fmt: skip
    assert sizes == {(4, 6): (12, 8), (40, 80): (80, 40)} and tiny_model().codec.fit(image).size == (12, 8)


def test_an_image_of_which_other_parts_are_seen_than_encoded_stays_whole():
    codec = tiny_model(vision=VisionConfig(Patches(2, size=(4, 4)))).codec
    image = Image.effect_noise((60, 20), 90).convert("RGB")
    whole = codec.fit(image)
    assert whole.size == image.size
    assert codec.vision.see(whole).digest == codec.vision.see(image).digest
