"""Several encoders of one image are one encoder, whose vectors are theirs side by side."""

import pytest
import torch
from PIL import Image

from unitok.models.vision.encoder import Network, Patches
from unitok.models.vision.fused import Fused


def pixels(side: int) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_vectors_are_concatenated():
    encoder = Fused((Patches(4), Patches(4)))
    features = encoder.build(None)(pixels(16))
    alone = Patches(4).build(None)(pixels(16))
    assert torch.equal(features, torch.cat((alone, alone), dim=1))
    assert (encoder.dim(None), encoder.grid((16, 16), None)) == (96, (4, 4))


def test_an_encoder_of_another_size_sees_the_image_resized():
    encoder = Fused((Patches(4, size=(16, 16)), Patches(8, size=(32, 32))))
    assert encoder.input_size(None) == (16, 16) and encoder.grid((16, 16), None) == (4, 4)
    flat = torch.full((1, 3, 16, 16), 0.25)
    assert torch.allclose(encoder.build(None)(flat), torch.tensor(0.25), atol=1e-6)
    assert encoder.build(None)(flat).shape == (1, 3 * (16 + 64), 4, 4)


def test_the_first_fits_an_image():
    assert Fused((Patches(4), Patches(4))).fit(Image.new("RGB", (50, 20)), (16, 24)).size == (24, 16)


def test_it_is_trained_if_one_is():
    assert not Fused((Patches(4), Patches(4))).has_weights
    assert Fused((Patches(4), Network())).has_weights


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match="encoders must have equal grids, got 4 x 4, 2 x 2: give one of them"
    ):
        Fused((Patches(4), Patches(8))).grid((16, 16), None)
    with pytest.raises(ValueError, match="encoders must be at least 2, got 1"):
        Fused((Patches(4),))
