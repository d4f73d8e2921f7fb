"""The judge of easy-VQA: right on its own drawings and on the published images, strict otherwise."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from unitok.data.readers.webdataset import WebDataset
from unitok.document import Segment
from unitok.worlds.easy_vqa_judge import PALETTE, SHAPES, judge, matches, palette

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "easy_vqa"


def draw(image: Image.Image, shape: str, colour: str, box: tuple[int, int, int, int]) -> Image.Image:
    """A shape drawn by Pillow into a box of pixel edges, at 4 × and reduced."""
    large = image.resize([side * 4 for side in image.size], Image.Resampling.NEAREST)
    x0, y0, x1, y1 = (4 * edge for edge in box)
    pen = ImageDraw.Draw(large)
    if shape == "circle":
        pen.ellipse((x0, y0, x1 - 1, y1 - 1), fill=PALETTE[colour])
    elif shape == "rectangle":
        pen.rectangle((x0, y0, x1 - 1, y1 - 1), fill=PALETTE[colour])
    else:
        pen.polygon([((x0 + x1) / 2, y0), (x1, y1 - 1), (x0, y1 - 1)], fill=PALETTE[colour])
    return large.reduce(4)


def blank(tint=(240, 250, 235)) -> Image.Image:
    return Image.new("RGB", (64, 64), tint)


@given(
    st.sampled_from(SHAPES),
    st.sampled_from(sorted(PALETTE)),
    st.tuples(*[st.integers(230, 255)] * 3),
    st.tuples(*[st.integers(0, 30)] * 2),
    st.tuples(*[st.integers(12, 32)] * 2),
)
def test_drawn_shapes_are_recognised(shape, colour, tint, corner, sides):
    width, height = sides if shape == "rectangle" else (sides[0], sides[0])
    box = (*corner, corner[0] + width, corner[1] + height)
    image = np.asarray(draw(blank(tint), shape, colour, box))
    found = judge(image)
    assert (found.shape, found.colour) == (shape, colour)
    assert np.abs(np.subtract(found.box, box)).max() <= 2
    for other in SHAPES:
        assert matches(image, f"a {colour} {other}") == (other == shape)
    assert not any(matches(image, f"a {other} {shape}") for other in PALETTE if other != colour)


def test_nothing_or_two_things_match_no_caption():
    two = draw(draw(blank(), "circle", "red", (2, 2, 22, 22)), "circle", "red", (30, 30, 50, 50))
    for image in (blank(), two):
        assert judge(np.asarray(image)) is None
        assert not matches(np.asarray(image), "a red circle")


@pytest.mark.parametrize(
    "caption", ["", "red circle", "a red square", "a pink circle", "A red circle", "a red circle."]
)
def test_other_captions_are_an_error(caption):
    with pytest.raises(ValueError, match="not a caption of easy-VQA"):
        matches(np.asarray(blank()), caption)


def test_the_palette_is_found_in_pictures():
    documents = [
        (
            Segment("text", f"a {colour} {shape}"),
            Segment("image", draw(blank(), shape, colour, (9, 9, 35, 35))),
        )
        for colour in PALETTE
        for shape in SHAPES
    ]
    assert palette(documents) == PALETTE


@pytest.fixture(scope="module")
def published():
    if not SHARED.is_dir():
        pytest.skip("the data set easy_vqa is not beside the repository")
    return {split: WebDataset(str(SHARED), split) for split in ("train", "val")}


def test_right_on_99_percent_of_the_published_validation_pictures(published):
    source = published["val"]
    pairs = [
        (text.content, np.asarray(image.content)) for text, image in (source[i] for i in range(len(source)))
    ]
    assert len(pairs) == 431
    assert sum(matches(image, caption) for caption, image in pairs) >= 0.99 * len(pairs)


def test_the_palette_is_that_of_the_published_training_pictures(published):
    assert palette(published["train"][i] for i in range(400)) == PALETTE
