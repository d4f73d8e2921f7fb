"""Holes to fill: what is shown lacks the hole alone, the whole is learned, holes follow from the seed."""

import numpy as np
import pytest
from PIL import Image

from unitok.data.transforms.inpainting import Fills, crop_to_grid, rectangle
from unitok.document import Segment
from unitok.worlds.shapes.scenes import ShapesSource
from unitok.worlds.shapes.tasks import ShapesTasks


class Pairs(ShapesSource):
    """Scenes of 48 x 48 pixels."""

    def __init__(self, count: int = 200):
        super().__init__(count=count, canvas=48, kind="demo")


def test_a_document_is_what_is_left_the_caption_and_the_whole():
    fills, pairs = Fills(Pairs(), (6, 6)), Pairs()
    for index in range(20):
        shown, told, whole = fills[index]
        text, image = pairs[index]
        assert (told.content, whole.content.tobytes()) == (text.content, image.content.tobytes())
        assert [segment.learn for segment in (shown, told, whole)] == [False, False, True]
        changed = (np.asarray(shown.content) != np.asarray(whole.content)).any(-1)
        free = fills.hole(index).repeat(8, 0).repeat(8, 1)
        assert (changed == free).all(), "no pixel of a scene is black"


def test_holes_are_large_and_small_anywhere_and_the_same_for_a_seed():
    fills = Fills(Pairs(), (6, 6), seed=3)
    holes = np.stack([fills.hole(i) for i in range(200)])
    again, other = Fills(Pairs(), (6, 6), seed=3), Fills(Pairs(), (6, 6), seed=4)
    assert all((again.hole(i) == holes[i]).all() for i in range(200))
    assert any((other.hole(i) != holes[i]).any() for i in range(200))
    assert holes.any((1, 2)).all() and len({*holes.sum((1, 2))}) > 20
    assert (abs(holes.mean(0) - holes.mean()) < 0.25).all(), "every cell is free now and then"
    rectangles = [hole for hole in holes if hole.sum() == hole.any(0).sum() * hole.any(1).sum()]
    assert 100 < len(rectangles) < 190


@pytest.mark.parametrize("size", [(40, 20), (13, 31), (3, 2), (200, 7)])
def test_of_any_picture_the_middle_is_cells_of_whole_pixels(size):
    picture = Image.fromarray(np.random.default_rng(0).integers(1, 256, (*size[::-1], 3), np.uint8))
    cut = crop_to_grid(picture, (2, 3))
    cell = min(size[0] // 3, size[1] // 2)
    assert cut.size == (3 * cell, 2 * cell)
    if cell == min(size[0] / 3, size[1] / 2):  # one side fits: the other is cut, and no pixel changes
        left, top = (size[0] - cut.width) // 2, (size[1] - cut.height) // 2
        same = picture.crop((left, top, left + cut.width, top + cut.height))
        assert cut.tobytes() == same.tobytes()
    with pytest.raises(ValueError, match=f"{size[0]} x {size[1]} pixels has no 300 x 200 cells"):
        crop_to_grid(picture, (200, 300))


@pytest.mark.parametrize("draws", [[0.0] * 4, [0.999] * 4, [0.5, 0.2, 0.999, 0.0]])
def test_rectangles_lie_inside_the_grid(draws):
    free = rectangle((2, 3), draws)
    rows, columns = free.any(1), free.any(0)
    assert free.sum() == rows.sum() * columns.sum() > 0
    assert rows.sum() == 1 + int(draws[0] * 2) and columns.sum() == 1 + int(draws[1] * 3)


def test_other_documents_are_refused():
    with pytest.raises(ValueError, match="document 0: must be a pair of text and image, got image, text"):
        Fills(ShapesTasks(count=3, canvas=48, tasks=["count"]), (6, 6))[0]
    with pytest.raises(ValueError, match="rows and columns"):
        Fills(Pairs(), (6, 0))


def test_more_documents_than_one_source_has_are_refused():
    with pytest.raises(IndexError):
        Fills(Pairs(3), (6, 6))[3]
    assert isinstance(Fills(Pairs(3), (6, 6))[-1][0], Segment)
