"""Encoders give a vector a cell, from pixels in their order."""

import pytest
import torch

from tests.tiny_model import tiny_model
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.vit import ViT
from unitok.models.image_tokenizer.vqgan import VQGAN
from unitok.models.vision.bridge import encode_pixels
from unitok.models.vision.encoder import Latents, Network, Patches

NETWORKS = [
    ViT(factor=4, width=8, depth=1, heads=2, hidden=8),
    VQGAN(channels=32, multipliers=(1, 1, 1), blocks=1, attention_levels=(), z_channels=8),
    Patch(factor=4, channels=8),
]
ENCODERS = [Latents(), Patches(4), *(Network(network, channels=5) for network in NETWORKS)]


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_a_grid_of_cells_becomes_as_many_vectors(encoder):
    tokenizer = tiny_model().codec.image.tokenizer
    assert encoder.cell(tokenizer) == 4
    pixels = torch.randint(0, 256, (2, 3, 8, 12), dtype=torch.uint8)
    vectors = encode_pixels(encoder.build(tokenizer), pixels, torch.float32)
    assert vectors.shape == (2, 6, encoder.dim(tokenizer))
    assert not torch.equal(vectors[0], vectors[1])


def test_latents_are_the_tokenizers_before_quantisation_and_trained_apart():
    tokenizer = tiny_model().codec.image.tokenizer
    pixels = torch.randint(0, 256, (1, 3, 8, 12), dtype=torch.uint8)
    encoder = Latents().build(tokenizer)
    expected = tokenizer.latents(pixels / 127.5 - 1)
    assert torch.allclose(encode_pixels(encoder, pixels, torch.float32), expected.flatten(2).mT)
    shared = {id(weight) for weight in tokenizer.parameters()}
    assert shared.isdisjoint(id(weight) for weight in encoder.parameters())


def test_patches_are_pixels_row_by_row():
    pixels = torch.arange(2 * 4, dtype=torch.uint8).view(1, 1, 2, 4).expand(1, 3, 2, 4)
    vectors = encode_pixels(Patches(2).build(None), pixels, torch.float32)
    assert ((vectors + 1) * 127.5).round()[0, :, :4].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
