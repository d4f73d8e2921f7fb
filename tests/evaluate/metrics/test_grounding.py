"""Boxes, points and named objects: cases by hand, and properties of any."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitok.evaluate.metrics.chair import Chair, Synonyms, chair, singular
from unitok.evaluate.metrics.grounding import (
    GroundingScores,
    PointingScores,
    grounding_scores,
    iou,
    pointing_scores,
)

sides = st.tuples(st.floats(0, 100), st.floats(0, 100)).map(sorted)
boxes = st.tuples(sides, sides).map(lambda s: (s[0][0], s[1][0], s[0][1], s[1][1]))


def test_iou_by_hand():
    assert iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert iou((0, 0, 4, 4), (0, 0, 4, 2)) == 0.5
    assert iou((0, 0, 1, 1), (1, 0, 2, 1)) == iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0
    assert iou((0, 0, 1e-200, 1e-200), (0, 0, 1e-200, 1e-200)) == 0  # an area too small for a number


@settings(deadline=None)
@given(boxes, boxes)
def test_iou_is_symmetric_and_a_share(a, b):
    assert iou(a, b) == iou(b, a) and 0 <= iou(a, b) <= 1 + 1e-9
    assert a[0] == a[2] or a[1] == a[3] or (a[2] - a[0]) * (a[3] - a[1]) < 1e-9 or iou(a, a) == 1


def test_referring_expressions_by_hand():
    square = (0.0, 0.0, 10.0, 10.0)
    found = grounding_scores(
        [square, (0.0, 0.0, 10.0, 4.0), None, None, square], [square, square, square, None, None]
    )
    assert found == GroundingScores(pytest.approx(1 / 3), pytest.approx(1.4 / 3), 0.5)
    assert grounding_scores([(0.0, 0.0, 10.0, 5.0)], [square]) == GroundingScores(1, 0.5, None)
    assert grounding_scores([None], [None]) == GroundingScores(None, None, 1)
    with pytest.raises(ValueError, match="got 0 boxes"):
        grounding_scores([], [])


def test_points_by_hand():
    left, right = (0.0, 0.0, 4.0, 4.0), (3.0, 0.0, 9.0, 4.0)
    assert pointing_scores([(3.5, 1.0), (1.0, 1.0)], [left, right]) == PointingScores(1, 1, 1)
    assert pointing_scores([(1.0, 1.0), (1.5, 1.0), (9.5, 1.0)], [left, right]) == pytest.approx(
        PointingScores(1 / 3, 1 / 2, 2 / 5)
    )
    assert pointing_scores([], []) == PointingScores(1, 1, 1) and pointing_scores(
        [(1.0, 1.0)], []
    ) == PointingScores(0, 0, 0)


@settings(deadline=None)
@given(st.lists(boxes, min_size=1, max_size=6))
def test_the_middle_of_every_box_is_a_perfect_answer(truth):
    middles = [((a + c) / 2, (b + d) / 2) for a, b, c, d in truth]
    assert pointing_scores(middles[::-1], truth) == PointingScores(1, 1, 1)


SYNONYMS = (
    "person, man, girl\nmotorcycle, motor bike\ndog, puppy\nbear\nteddy bear\ntie\nchair, seat\ntoilet\n"
)


@pytest.fixture
def words(tmp_path):
    (tmp_path / "synonyms.txt").write_text(SYNONYMS)
    return Synonyms.read(tmp_path / "synonyms.txt")


NAMED = {
    "Two girls and a man on motor bikes.": ["person", "person", "motorcycle"],
    "a teddy bear with a bow tie": ["teddy bear", "tie"],
    "a baby bear beside an adult dog": ["bear", "dog"],
    "the toilet seat, and a seat": ["toilet"],
    "a seat": ["chair"],
    "nothing": [],
}


@pytest.mark.parametrize("caption", NAMED)
def test_what_a_caption_names(words, caption):
    assert words.objects(caption) == NAMED[caption]


@pytest.mark.parametrize(
    "plural, one",
    [("dogs", "dog"), ("buses", "bus"), ("benches", "bench"), ("ties", "tie"), ("puppies", "puppy"),
     ("glasses", "glass"), ("horses", "horse"), ("bus", "bus"), ("tennis", "tennis"), ("knives", "knife"),
     ("people", "people"), ("couches", "couch"), ("skis", "skis"), ("boxes", "box"), ("giraffes", "giraffe")],
)  # fmt: skip
def test_singulars(plural, one):
    assert singular(plural) == one


def test_chair_by_hand():
    named = [["dog", "dog", "cat"], ["dog"], []]
    assert chair(named, [["dog"], ["dog", "cat"], []]) == pytest.approx(Chair(1 / 3, 1 / 4))
    assert chair([[]], [[]]) == Chair(0, 0)
    with pytest.raises(ValueError, match="1 captions and of 2"):
        chair([[]], [[], []])


def test_a_file_without_words_is_named(tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"empty.txt: no words"):
        Synonyms.read(tmp_path / "empty.txt")
