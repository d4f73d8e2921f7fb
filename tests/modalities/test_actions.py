"""Actions come back within half a bin of their axis, and boxes and points keep the codes they had."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny_codecs import tiny_codec
from tests.tiny_model import tiny_model
from unitok.api.unitok import UniTok
from unitok.document import Segment, same
from unitok.modalities.actions import Action, ActionModality
from unitok.modalities.geometry import Box, Point
from unitok.modalities.location_bins import BoxModality, PointModality

LOW, HIGH = (-1.0, 0.0, 10.0), (1.0, 0.5, 48.0)
numbers = st.floats(-60, 60)
chunks = st.lists(st.tuples(numbers, numbers, numbers), min_size=2, max_size=2)


@settings(deadline=None)
@given(chunks, st.integers(2, 300))
def test_an_action_comes_back_within_half_a_bin_of_its_axis_and_range(steps, bins):
    modality = ActionModality(LOW, HIGH, bins, steps=2)
    codes, shape = modality.encode(Action(tuple(steps)))
    assert shape == modality.largest_shape == (6,) and set(codes.tolist()) <= set(range(bins))
    back = modality.decode(codes, shape)
    for before, after in zip(steps, back.steps, strict=True):
        for value, decoded, low, high in zip(before, after, LOW, HIGH, strict=True):
            half = (high - low) / bins / 2
            assert abs(min(max(value, low), high) - decoded) <= half * (1 + 1e-9)
    assert torch.equal(modality.encode(back)[0], codes)


def test_numbers_outside_a_range_are_in_its_end_bins():
    modality = ActionModality(LOW, HIGH, 16)
    for action, codes in (((-9.0, -9.0, -9.0), [0, 0, 0]), ((9.0, 9.0, 99.0), [15, 15, 15])):
        assert modality.encode(Action((action,)))[0].tolist() == codes


def test_ranges_are_those_of_all_training_actions_but_the_outliers():
    rng = random.Random(0)
    actions = [Action(((rng.uniform(0, 1), rng.uniform(-5, 5)),)) for _ in range(5000)]
    modality = ActionModality.fit([*actions, Action(((1e6, -1e6),))], labels=["go"])
    assert modality.low == pytest.approx((0.01, -4.9), abs=0.05)
    assert modality.high == pytest.approx((0.99, 4.9), abs=0.05)
    assert (modality.size, modality.rows, modality.labels) == (256, 1, ("go",))


def test_a_step_has_a_row_and_an_axis_a_column():
    grid = ActionModality(LOW, HIGH, steps=2).grid((6,))
    assert grid.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0], [0, 1, 1], [0, 1, 2]]


def test_whatever_changes_codes_changes_the_fingerprint_and_labels_do_not():
    base = {"low": [0, 0], "high": [1, 1], "bins": 9, "steps": 2}
    fingerprint = ActionModality(**base).fingerprint()
    for name, value in (("low", [0, -1]), ("high", [2, 1]), ("bins", 8), ("steps", 1)):
        assert ActionModality(**base | {name: value}).fingerprint() != fingerprint
    assert ActionModality(**base, labels=["pick", "place"]).fingerprint() == fingerprint


def test_actions_are_segments_of_documents():
    codec = tiny_codec(shape=(2, 3), more=[ActionModality(LOW, HIGH, 9)])
    document = Segment("text", "up"), Segment("action", Action(((0.1, 0.2, 30.0),)))
    codes = codec.encode(document)
    back = codec.split(codec.join(codes).ids)
    assert all(map(same, codes, back)) and codec.decode(back)[0].content == "up"


def test_an_action_reads_as_its_steps_with_the_decimals_that_bins_resolve():
    pixels = ActionModality([6, 6], [42, 42], steps=2, labels=["pick", "place"])
    action = Action(((12.0, 30.2), (40.0, 8.0)))
    back = pixels.decode(*pixels.encode(action))
    assert pixels.as_text(back) == pixels.as_text(action) == "pick (12, 30), place (40, 8)"
    arm = ActionModality([-1.0, 0.0], [1.0, 90.0])
    assert arm.as_text(Action(((0.123, -7.0),))) == "(0.12, -7)"


def test_actions_come_back_from_a_model_folder(tmp_path):
    modality = ActionModality([0, -1.5], [1, 2.5], 30, 2, ["pick", "place"])
    model = tiny_model(more=[PointModality(9), modality])
    model.save_pretrained(tmp_path / "model")
    again = UniTok.from_pretrained(tmp_path / "model")
    assert again.codec.fingerprint() == model.codec.fingerprint()
    assert again.codec.modalities["action"].settings() == modality.settings()
    prompt = (Segment("text", "up"),)
    (document,) = again.generate([prompt], target="action")
    assert document == model.generate([prompt], target="action")[0]
    (update,) = again.stream(prompt, target="action")
    assert update.done and update.content == document[-1].content


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Action(()), r"at least one, got \(\)"),
        (lambda: Action(((1.0,), (1.0, 2.0))), "equally many numbers"),
        (lambda: Action(((1.0, float("nan")),)), "must be finite, got .*nan"),
        (lambda: ActionModality([0], [0]), "low must be less than high, got 0 and 0 for axis 0"),
        (lambda: ActionModality([0], [float("inf")]), "got 0 and inf for axis 0"),
        (lambda: ActionModality([0, 1], [2]), "one number per axis"),
        (lambda: ActionModality([0], [1], bins=1), "bins must be at least 2, got 1"),
        (lambda: ActionModality([0], [1], steps=0), "at least 1 row, got 0"),
        (lambda: ActionModality([0], [1], labels=["a", "b"]), "for each of 1 steps, got .*'b'"),
        (lambda: ActionModality.fit([]), r"actions must have one shape, got \[\]"),
        (lambda: ActionModality.fit([Action(((1.0, 2.0),)), Action(((1.0,),))]), "must have one shape"),
        (lambda: ActionModality([0], [1]).encode(Point(0, 0)), "the action must be a Action, got Point"),
        (lambda: ActionModality([0], [1]).encode(Action(((0.0, 1.0),))), "1 rows of 1 numbers, got Action"),
    ],
)
def test_wrong_arguments_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_boxes_and_points_have_the_codes_and_fingerprints_of_before():
    box, point = Box(0.0, 0.1234, 0.5, 1.0), Point(0.9999, 1 / 3)
    assert BoxModality().encode(box)[0].tolist() == [0, 123, 500, 999]
    assert PointModality(7).encode(point)[0].tolist() == [6, 2]
    assert BoxModality().decode(torch.tensor([0, 123, 500, 999]), (4,)) == Box(0.0005, 0.1235, 0.5005, 0.9995)
    assert (BoxModality().fingerprint(), PointModality(7).fingerprint()) == ("box:1000", "point:7")
    assert float(BoxModality().features().double().abs().sum()) == pytest.approx(10185.843553269202, rel=1e-6)
