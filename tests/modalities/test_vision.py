"""What is written has codes, what is shown has features, and what may be either has both."""

import pytest
import torch
from PIL import Image

from tests.generation.test_likelihood import make_image
from tests.tiny_model import tiny_model
from unitok.document import Segment, same
from unitok.modalities.vision import Vision, VisionConfig
from unitok.models.vision.bridge import Projector
from unitok.models.vision.encoder import Latents, Patches


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
    ]
    assert [VisionConfig.from_json(config.to_json()) for config in configs] == configs
    prints = {Vision(config, tokenizer, size=(8, 8)).fingerprint() for config in configs}
    assert len(prints) == len(configs)


def test_an_image_is_fitted_to_the_larger_of_what_draws_and_what_sees():
    image = Image.new("RGB", (200, 100))
    sizes = {size: tiny_model(vision=VisionConfig(Latents(size=size))).codec.fit(image).size for size in
             ((4, 4), (40, 80))}  # fmt: skip
    assert sizes == {(4, 4): (12, 8), (40, 80): (80, 40)} and tiny_model().codec.fit(image).size == (12, 8)
