"""Moves: true actions succeed, others do not, and no split sees the scenes of another."""

import pickle
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitok.modalities.actions import Action, ActionModality
from unitok.modalities.geometry import Point
from unitok.worlds.seeded import SPLIT_SEEDS, TEST_SEED, VALIDATION_SEED
from unitok.worlds.shapes.moves import (
    LABELS,
    Move,
    ShapesMoves,
    carry_out,
    judge_action,
    picked,
    sample_moves,
)
from unitok.worlds.shapes.world import Scene, SceneObject, is_related

CIRCLE = SceneObject("circle", "red", "small", 40, 12)
STAR = SceneObject("star", "blue", "small", 36, 50)
SQUARE = SceneObject("square", "green", "small", 10, 10)
MOVE = Move(Scene((CIRCLE, STAR, SQUARE), 64), CIRCLE, "left of", STAR, (16, 50))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3 * SPLIT_SEEDS - 1), st.sampled_from([48, 64]), st.booleans())
def test_true_actions_succeed_and_those_of_points_and_bins_too(seed, canvas, held_out):
    moves = sample_moves(seed, canvas=canvas, turns=3, held_out=held_out)
    assert moves == sample_moves(seed, canvas=canvas, turns=3, held_out=held_out)
    assert len({move.instruction for move in moves}) == len(moves) <= 3
    modality = ActionModality([0, 0], [canvas, canvas], steps=2)
    for move in moves:
        assert not is_related(move.item, move.other, move.relation, canvas)
        assert any(item.held_out for item in move.scene.objects) == held_out
        assert judge_action(move, *move.action.steps) == (True, True, True)
        binned = modality.decode(*modality.encode(move.action))
        points = [point.pixels(canvas, canvas) for point in move.points]
        assert judge_action(move, *binned.steps).success and judge_action(move, *points).success


PICK = CIRCLE.x, CIRCLE.y


@pytest.mark.parametrize(
    "pick, place, verdict",
    [
        (PICK, (16, 50), (True, True, True)),
        (PICK, (14, 48), (True, True, True)),
        ((42, 10), (18, 48), (True, True, True)),  # it is carried by place - pick
        (PICK, (56, 50), (True, False, False)),  # right of it
        (PICK, (26, 50), (True, False, False)),  # too near
        (PICK, (4, 50), (True, False, False)),  # out of the canvas
        (PICK, PICK, (True, False, False)),
        ((36, 50), (16, 50), (False, True, False)),  # the star
        ((60, 60), (16, 50), (False, True, False)),  # nothing
    ],
)
def test_verdicts(pick, place, verdict):
    assert judge_action(MOVE, pick, place) == verdict


def test_an_object_is_not_put_upon_another():
    above = replace(MOVE, relation="above", other=SQUARE)
    assert carry_out(MOVE.scene, PICK, (10, 14)) == MOVE.scene
    assert not judge_action(above, PICK, (10, 14)).success


def test_only_the_picked_object_moves():
    after = carry_out(MOVE.scene, (41, 13), (17, 51))
    assert after.objects == (replace(CIRCLE, x=16, y=50), STAR, SQUARE)
    assert picked(MOVE.scene, (38, 48)) is STAR and picked(MOVE.scene, (25, 25)) is None


def test_names_are_as_short_as_they_may_be():
    assert MOVE.instruction == "move the red circle left of the star"
    two_stars = replace(MOVE, scene=Scene((CIRCLE, STAR, replace(SQUARE, shape="star")), 64))
    assert two_stars.instruction == "move the red circle left of the blue star"


def test_documents_teach_actions_alone_in_either_form():
    actions = pickle.loads(pickle.dumps(ShapesMoves(count=20, canvas=48, turns=2)))
    points = ShapesMoves(count=20, canvas=48, turns=2, as_points=True)
    assert max(len(actions.moves(i)) for i in range(20)) == 2
    for index, moves in ((i, actions.moves(i)) for i in range(20)):
        document, other = actions[index], points[index]
        assert [s.modality for s in document] == ["image", *["text", "action"] * len(moves)]
        assert [s.modality for s in other] == ["image", *["text", "point", "point"] * len(moves)]
        assert all(s.learn == (s.modality in ("action", "point")) for s in (*document, *other))
        assert document[2].content == moves[0].action
        assert all(type(s.content) is Point for s in other[2:4])


def test_instructions_are_learned_on_request():
    document = ShapesMoves(count=1, canvas=48, learn_instructions=True)[0]
    assert [segment.learn for segment in document] == [False, True, True]


def test_no_split_sees_the_scenes_of_another():
    scenes = [
        {ShapesMoves(seed, 100, 48).moves(i)[0].scene.objects for i in range(100)}
        for seed in (0, VALIDATION_SEED, TEST_SEED)
    ]
    assert not scenes[0] & scenes[1] and not scenes[1] & scenes[2] and not scenes[0] & scenes[2]
    with pytest.raises(ValueError, match="turns must be at least 1, got 0"):
        ShapesMoves(turns=0)


def test_the_ranges_of_the_config_are_those_of_training_actions():
    source = ShapesMoves(count=400, canvas=48)
    fitted = ActionModality.fit([source.moves(i)[0].action for i in range(400)], labels=LABELS)
    assert (fitted.rows, fitted.axes) == (2, 2)
    assert type(source[0][2].content) is Action
    assert (fitted.low, fitted.high) == ((6, 6), (42, 42))
