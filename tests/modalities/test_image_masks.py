"""Masks of pixels become free cells; a model is shown a image that is black there, itself elsewhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from unitok.modalities.image_masks import blacken, fit_mask, free_cells, random_cells

CELL = 4
MASKS = arrays(bool, (2, 3))


def pixels(free: np.ndarray) -> np.ndarray:
    """The cells' values, pixel by pixel."""
    return free.repeat(CELL, 0).repeat(CELL, 1)


def test_a_cell_is_free_where_one_of_its_pixels_is_white():
    mask = Image.new("L", (12, 8))
    mask.putpixel((5, 2), 255)
    mask.putpixel((9, 6), 255)
    assert free_cells(mask, CELL).tolist() == [[False, True, False], [False, False, True]]


@given(MASKS, st.integers(0, 2**32 - 1))
def test_an_image_is_black_where_cells_are_free_and_itself_elsewhere(free, seed):
    image = np.random.default_rng(seed).integers(1, 256, (8, 12, 3), np.uint8)
    shown = np.asarray(blacken(Image.fromarray(image), free))
    assert (shown[pixels(free)] == 0).all() and (shown[~pixels(free)] == image[~pixels(free)]).all()


@given(MASKS)
def test_cells_and_masks_say_the_same(free):
    mask = Image.fromarray((pixels(free) * 255).astype(np.uint8))
    assert (free_cells(fit_mask(mask, mask, mask.size), CELL) == free).all()


@given(st.floats(0, 1), st.integers(0, 1000))
def test_one_cell_at_least_is_free_and_a_seed_always_frees_the_same(share, seed):
    free = random_cells(20, 30, share, seed)
    assert free.any() and abs(free.mean() - share) < 0.1
    assert (free == random_cells(20, 30, share, seed)).all()


def test_a_mask_is_cut_and_resized_as_its_image_is():
    mask = Image.new("L", (20, 8))
    mask.paste(255, (4, 0, 10, 8))  # of the middle 12 x 8 pixels, which are kept, the left half
    fitted = np.asarray(fit_mask(mask, Image.new("RGB", (20, 8)), (12, 8)))
    assert (fitted[:, :6] == 255).all() and (fitted[:, 6:] == 0).all()
    with pytest.raises(ValueError, match="must have the size of its image"):
        fit_mask(mask, Image.new("RGB", (8, 20)), (12, 8))
