"""A projector begins with vectors as large as it is asked for, and gives each place one vector."""

import pytest
import torch

from unitok.models.vision.bridge import Bridge, Projector
from unitok.models.vision.encoder import Patches


@pytest.mark.parametrize("norm", ["none", "before", "after"])
@pytest.mark.parametrize("hidden", [0, 256])
def test_a_new_bridge_gives_vectors_of_the_asked_size(norm, hidden):
    torch.manual_seed(0)
    layers = Projector(hidden, norm).build(48, 64)
    layers.scale_to(0.3)
    vectors = Bridge(layers)(torch.randn(8, 20, 48)).detach()
    assert vectors.shape == (160, 64)
    assert float(vectors.square().mean().sqrt()) == pytest.approx(0.3, rel=0.1)


def test_pixels_go_through_the_encoder_of_a_bridge():
    layers = Projector().build(12, 7)
    pixels = torch.randint(0, 256, (3, 3, 4, 6), dtype=torch.uint8)
    encoder = Patches(2).build(None)
    seen = encoder(pixels / 127.5 - 1).flatten(2).mT
    assert torch.allclose(Bridge(layers, encoder)(pixels), Bridge(layers)(seen), atol=1e-6)


def test_a_negative_size_is_refused():
    with pytest.raises(ValueError, match="hidden must be an integer of at least 0, got -1"):
        Projector(-1)
