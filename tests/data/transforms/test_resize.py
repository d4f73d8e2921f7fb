"""Pictures get the size that was asked for, and buckets keep to their budget."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unitok.data.source import Source
from unitok.data.transforms.resize import Buckets, Crop, Fit, Resized
from unitok.document import Segment


def stripes(width: int, height: int) -> Image.Image:
    """Column x has the brightness x."""
    return Image.fromarray(
        np.broadcast_to(np.arange(width, dtype=np.uint8)[None, :, None], (height, width, 3)).copy()
    )


def test_fit_scales_and_cuts_around_the_centre():
    fitted = Fit(10, 10)(stripes(40, 20))
    assert fitted.size == (10, 10)
    row = np.asarray(fitted)[5, :, 0]
    assert 10 <= row[0] <= 12 and 27 <= row[-1] <= 29
    same = stripes(7, 5)
    assert Fit(5, 7)(same) is same


def test_crop_does_not_scale_unless_it_must():
    assert np.asarray(Crop(4, 6)(stripes(20, 9)))[0, :, 0].tolist() == [7, 8, 9, 10, 11, 12]
    assert Crop(12, 6)(stripes(20, 9)).size == (6, 12)


@given(cells=st.integers(1, 300), width=st.integers(1, 2000), height=st.integers(1, 2000))
def test_buckets_keep_the_budget_and_come_near_the_shape(cells, width, height):
    buckets = Buckets(cells=cells, cell=8)
    rows, columns = buckets.shape(width=width, height=height)
    assert 0 < rows * columns <= cells and max(rows, columns) <= 4 * min(rows, columns)
    assert (rows + 1) * columns > cells or rows * (columns + 1) > cells  # nothing is left over
    mine = abs(np.log(columns / rows) - np.log(width / height))
    assert all(mine <= abs(np.log(c / r) - np.log(width / height)) + 1e-8 for r, c in buckets.shapes)
    assert buckets.shape(width=height, height=width) in ((columns, rows), *buckets.shapes)


def test_buckets_of_64_cells():
    buckets = Buckets(cells=64, cell=8)
    assert buckets.shape(width=99, height=99) == (8, 8) and (4, 16) in buckets.shapes
    assert buckets(stripes(200, 50)).size == (128, 32)
    with pytest.raises(ValueError, match="at least 1"):
        Buckets(cells=0, cell=8)


def test_a_resized_source_changes_pictures_alone():
    class One(Source):
        faults = ("some",)

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return Segment("text", "a"), Segment("image", stripes(20, 10), learn=False)

    source = Resized(One(), Fit(4, 4))
    text, image = source[0]
    assert len(source) == 1 and source.faults == ("some",)
    assert text.content == "a" and image.content.size == (4, 4) and not image.learn
