"""Grey boxes: rendered boxes are parsed back, and descriptions hold what matters."""

from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unitok.worlds.nlvr.boxes import SIDE, Item, describe, is_tower, parse_box, render_box, sample_boxes

seeds = st.integers(0, 10**9)


@settings(max_examples=60, deadline=None)
@given(seeds, st.booleans())
def test_a_drawn_box_is_read_as_it_was(seed, towers):
    for box in sample_boxes(Random(seed), towers=towers):
        assert parse_box(render_box(box)) == box


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_things_lie_inside_and_apart_and_towers_stand_on_the_ground(seed):
    for box in sample_boxes(Random(seed), towers=False):
        assert 1 <= len(box) <= 7
        for item in box:
            assert min(item.left, item.top) >= 0 and max(item.left, item.top) + item.size <= SIDE
        for a, b in combinations(box, 2):
            assert any(
                x + p.size < y or y + q.size < x
                for p, q, x, y in ((a, b, a.left, b.left), (a, b, a.top, b.top))
            )
    for box in sample_boxes(Random(seed), towers=True):
        assert is_tower(box) and box[0].touching == ("bottom",)
        assert describe(box).split() == [item.colour for item in box]


def test_like_things_are_told_side_by_side_with_the_sides_they_touch():
    black, blue = Item("square", "black", 30, 70, 0), Item("circle", "blue", 10, 50, 90)
    another = Item("circle", "blue", 10, 0, 40)
    words = "large black square top right small blue circle bottom small blue circle left"
    assert describe((another, black, blue)) == describe((blue, another, black)) == words
    assert not is_tower((black, blue))


def test_another_size_is_refused():
    with pytest.raises(ValueError, match=r"100 x 100 pixels, got \(400, 100\)"):
        parse_box(Image.new("RGB", (400, 100)))
