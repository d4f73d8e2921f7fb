"""Changed pictures are a pure function of their number, keep their size, and leave the captions alone."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from unitok.data.source import Source
from unitok.data.transforms.augment import Augment, Augmented
from unitok.document import Segment
from unitok.modalities.actions import Action
from unitok.modalities.geometry import Box, Point


class Dots(Source):
    """Image i has one black dot, at (8 + i, 9), on white."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        pixels = np.full((24, 20, 3), 255, np.uint8)
        pixels[9, 8 + index] = 0
        return Segment("text", f"dot {index}"), Segment("image", Image.fromarray(pixels), index != 1)


def dot(picture: Image.Image) -> tuple[int, int]:
    """Column and row of the dot."""
    rows, columns = np.nonzero(np.asarray(picture)[..., 0] == 0)
    assert len(rows) == 1
    return int(columns[0]), int(rows[0])


def test_the_first_copies_are_the_originals():
    augmented = Augmented(Dots(), Augment(copies=4, shift=3))
    assert len(augmented) == 12
    for index in range(3):
        assert dot(augmented[index][1].content) == dot(Dots()[index][1].content)


def test_pictures_change_within_bounds_and_nothing_else_does():
    augmented, seen = Augmented(Dots(), Augment(copies=200, mirror=False, shift=3)), set()
    for index in range(3, len(augmented)):
        text, image = augmented[index]
        (x, y), original = dot(image.content), Dots()[index % 3]
        assert text == original[0] and image.learn == original[1].learn and image.content.size == (20, 24)
        seen.add((x - 8 - index % 3, y - 9))
    assert seen == {(x, y) for x in range(-3, 4) for y in range(-3, 4)}


def test_mirrors_are_mirrors():
    original, found = Dots()[0][1].content, set()
    for index in range(3, 90, 3):
        picture = Augmented(Dots(), Augment(copies=30))[index][1].content
        found.add(picture.tobytes())
    assert found == {original.tobytes(), ImageOps.mirror(original).tobytes()}


def test_the_same_number_gives_the_same_picture_and_another_seed_another():
    one, same, other = (Augmented(Dots(), Augment(copies=50, shift=5, seed=seed)) for seed in (0, 0, 1))
    ours, again, others = ([s[i][1].content.tobytes() for i in range(150)] for s in (one, same, other))
    assert ours == again != others


class Placed(Dots):
    """The same images, each before and after, with the dot's box and middle."""

    def __getitem__(self, index):
        _, picture = super().__getitem__(index)
        box = Box.of_pixels((8 + index, 9, 9 + index, 10), 20, 24)
        middle = Point((8.5 + index) / 20, 9.5 / 24)
        return picture, Segment("box", box, learn=False), Segment("point", middle), picture


def test_boxes_and_points_go_where_their_pictures_go():
    for before, box, point, after in map(
        Augmented(Placed(), Augment(copies=60, shift=6)).__getitem__, range(180)
    ):
        x, y = dot(before.content)
        assert dot(after.content) == (x, y)
        assert box.content.pixels(20, 24) == pytest.approx((x, y, x + 1, y + 1)) and not box.learn
        assert point.content.pixels(20, 24) == pytest.approx((x + 0.5, y + 0.5))


def test_what_leaves_the_picture_is_cut_off():
    class Cornered(Placed):
        def __getitem__(self, index):
            picture, *_ = super().__getitem__(index)
            return picture, Segment("box", Box(0, 0, 0.1, 0.5)), Segment("point", Point(0, 1))

    for _, box, point in map(Augmented(Cornered(), Augment(copies=60, shift=9)).__getitem__, range(180)):
        assert all(0 <= value <= 1 for value in (*box.content.numbers, *point.content.numbers))


@pytest.mark.parametrize("wrong", [{"copies": 0}, {"shift": -1}])
def test_settings_that_make_no_sense_are_named(wrong):
    with pytest.raises(ValueError, match="copies must be at least 1"):
        Augment(**wrong)


def test_images_of_actions_stay_where_they_are():
    class Reaches(Dots):
        def __getitem__(self, index):
            return *super().__getitem__(index), Segment("action", Action(((8.0 + index, 9.0),)))

    augmented = Augmented(Reaches(), Augment(copies=9, shift=3))
    for index in range(len(augmented)):
        assert augmented[index] == Reaches()[index % 3]
