"""An image is cut into tiles in the arrangement nearest to its shape, and no pixel is lost."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.cases import cases
from unitok.modalities.image_tiles import arrange_tiles, cut_tiles

SIDES = st.integers(1, 4000)


@given(
    size=st.tuples(SIDES, SIDES),
    tile=st.tuples(st.integers(1, 500), st.integers(1, 500)),
    most=st.integers(1, 20),
)
def test_there_are_no_more_tiles_than_allowed_and_whole_tiles_stay(size, tile, most):
    rows, columns = arrange_tiles(size, tile, most)
    assert 1 <= rows * columns <= most
    assert arrange_tiles((rows * tile[0], columns * tile[1]), tile, most) == (rows, columns)


@given(rows=st.integers(1, 4), columns=st.integers(1, 4), height=st.integers(1, 5), width=st.integers(1, 5))
def test_every_pixel_is_in_one_tile_row_by_row(rows, columns, height, width):
    pixels = np.arange(rows * height * columns * width, dtype=np.int32).reshape(rows * height, -1)
    tiles = cut_tiles(Image.fromarray(pixels), (height, width))
    found = np.stack([np.asarray(tile) for tile in tiles]).reshape(rows, columns, height, width)
    assert np.array_equal(found.transpose(0, 2, 1, 3).reshape(pixels.shape), pixels)


@cases()
def test_the_arrangement_is_internvls(count):
    peer = pytest.importorskip("transformers.models.got_ocr2.image_processing_got_ocr2")
    rng = random.Random(0)
    for _ in range(count):
        size, most = (rng.randint(20, 2000), rng.randint(20, 2000)), rng.randint(1, 12)
        columns, rows = peer.get_optimal_tiled_canvas(size, (448, 448), 1, most)
        assert arrange_tiles(size, (448, 448), most) == (rows, columns)


@pytest.mark.parametrize(
    ("size", "arrangement"),
    [((48, 48), (1, 1)), ((96, 200), (2, 4)), ((60, 60), (1, 1)), ((96, 96), (2, 2)), ((9, 400), (1, 8))],
)
def test_a_larger_image_gets_more_tiles(size, arrangement):
    assert arrange_tiles(size, (48, 48), 8) == arrangement
