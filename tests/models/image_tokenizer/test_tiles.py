"""Tiles answer for every cell once; a tokenizer that sees little beyond a cell does not notice them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.tiles import decode_tiled, encode_tiled, spans
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook, ResidualCodebooks


@given(cells=st.integers(1, 60), overlap=st.integers(0, 4), extra=st.integers(1, 9))
def test_every_cell_has_one_tile(cells, overlap, extra):
    tile = 2 * overlap + extra
    tiles = list(spans(cells, tile=tile, overlap=overlap))
    assert [cell for span in tiles for cell in range(span.first, span.last)] == list(range(cells))
    for span in tiles:
        assert 0 <= span.start <= span.first < span.last <= span.stop <= cells
        assert span.stop - span.start <= tile
        assert span.first - span.start == min(overlap, span.first)


def test_tiles_that_are_all_overlap_are_refused():
    with pytest.raises(ValueError, match="less than half of tile=8, got 4"):
        list(spans(20, tile=8, overlap=4))


@pytest.fixture(
    params=[EMACodebook(16, 6), ResidualCodebooks(EMACodebook(8, 6), depth=2)], ids=["one", "two"]
)
def tokenizer(request):
    """Its decoder sees two cells around each: two 3 × 3 convolutions."""
    torch.manual_seed(0)
    sizes = Patch(factor=4, channels=12, encoder_depth=1, decoder_depth=1)
    tokenizer = ImageTokenizer(ImageTokenizerConfig(sizes, request.param)).train()
    tokenizer.encode(torch.rand(4, 3, 16, 16) * 2 - 1)
    return tokenizer.eval()


@pytest.mark.parametrize("size", [(4, 4), (12, 40), (44, 28)])
def test_codes_of_single_cells_are_those_of_the_whole(tokenizer, size):
    images = torch.rand(2, 3, *size) * 2 - 1
    codes = encode_tiled(tokenizer, images, tile=3, overlap=1)
    assert torch.equal(codes, tokenizer.encode(images).codes)


def test_pixels_are_those_of_the_whole_where_no_tile_ends(tokenizer):
    codes = tokenizer.encode(torch.rand(2, 3, 44, 60) * 2 - 1).codes
    whole, tiled = tokenizer.decode(codes), decode_tiled(tokenizer, codes, tile=9, overlap=3)
    assert tiled.shape == whole.shape
    # cells 0..2 + 6..: a place two cells or more inside every tile that shows it
    torch.testing.assert_close(tiled[..., :8, :8], whole[..., :8, :8], atol=1e-5, rtol=0)
    assert (tiled - whole).abs().mean() < 0.1 * (whole - whole.mean()).abs().mean()


def test_one_tile_is_the_whole(tokenizer):
    codes = tokenizer.encode(torch.rand(1, 3, 20, 16) * 2 - 1).codes
    torch.testing.assert_close(decode_tiled(tokenizer, codes), tokenizer.decode(codes), atol=1e-6, rtol=0)


def test_seams_fade(tokenizer):
    """Beside a border the two tiles count alike; no pixel jumps from one to the other."""
    codes = torch.zeros(1, 12, 12 * tokenizer.depth, dtype=torch.long)
    if tokenizer.depth == 2:
        codes[..., 1::2] = 8
    whole, tiled = tokenizer.decode(codes), decode_tiled(tokenizer, codes, tile=6, overlap=2)
    assert (tiled.diff(dim=3) - whole.diff(dim=3)).abs().max() <= (whole.diff(dim=3)).abs().max() + 1e-5
