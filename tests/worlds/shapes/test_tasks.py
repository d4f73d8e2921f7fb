"""Questions and edits of the shapes world: true on scenes written by hand, and on any scene."""

import hashlib
import pickle
from collections import Counter
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny_model import tiny_model
from unitok.data.batches.batch_sampler import DocumentBatch
from unitok.data.batches.packed_documents import EncodedSource, PackedDocuments
from unitok.modalities.geometry import Box, Point
from unitok.modalities.location_bins import BoxModality, PointModality
from unitok.worlds.seeded import SPLIT_SEEDS, TEST_SEED
from unitok.worlds.shapes import edits, questions
from unitok.worlds.shapes.pixels import render
from unitok.worlds.shapes.questions import box_of, point_of
from unitok.worlds.shapes.tasks import TASKS, USUAL, ShapesTasks, sample_task, to_document
from unitok.worlds.shapes.world import BACKGROUND, HELD_OUT, SEEN, Scene, SceneObject, is_related

CIRCLE = SceneObject("circle", "red", "small", 12, 20)
SQUARE = SceneObject("square", "blue", "large", 44, 24)
STAR = SceneObject("star", "red", "small", 20, 50)
SCENE = Scene((CIRCLE, SQUARE, STAR), 64)
ALIKE = Scene((CIRCLE, SceneObject("circle", "red", "small", 40, 10)), 64)
seeds, any_task = st.integers(0, SPLIT_SEEDS - 1), st.sampled_from(list(TASKS))


def all_of(name, scene, *, looks=SEEN, tries=400):
    """Everything that a task can ask of a scene: question and answer, as plain contents."""
    found = (TASKS[name].ask(scene, looks, Random(f"{name} {i}")) for i in range(tries))
    return {
        (*(s.content for s in asked.question), "->", *(s.content for s in asked.answer))
        for asked in found
        if asked
    }


def said(question, answer):
    return (question, "->", answer)


HAND_WRITTEN = {
    "color": {("what color is the circle?", "red"), ("what color is the square?", "blue"),
              ("what color is the star?", "red")},
    "shape": {("what shape is blue?", "square")},
    "count": {("how many objects are there?", "3"), ("how many circles are there?", "1"),
              ("how many squares are there?", "1"), ("how many stars are there?", "1"),
              ("how many triangles are there?", "0")},
    "relation": {
        ("is the red circle left of the blue square?", "yes"),
        ("is the blue square right of the red circle?", "yes"),
        ("is the red circle right of the blue square?", "no"),
        ("is the blue square left of the red circle?", "no"),
        ("is the red circle above the red star?", "yes"), ("is the red star below the red circle?", "yes"),
        ("is the red circle below the red star?", "no"), ("is the red star above the red circle?", "no"),
    },
    "box": {("where is the red circle?", Box(5 / 64, 13 / 64, 19 / 64, 27 / 64)),
            ("where is the blue square?", Box(33 / 64, 13 / 64, 55 / 64, 35 / 64)),
            ("where is the red star?", Box(13 / 64, 43 / 64, 27 / 64, 56 / 64))},
    "point": {("point to the red circle", Point(12 / 64, 20 / 64)),
              ("point to the blue square", Point(44 / 64, 24 / 64)),
              ("point to the red star", Point(20 / 64, 50 / 64))},
}  # fmt: skip


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_all_questions_about_a_scene_written_by_hand(name):
    assert all_of(name, SCENE) == {said(*pair) for pair in HAND_WRITTEN[name]}


def test_objects_that_are_alike_have_no_name_of_their_own():
    for name in ("color", "shape", "relation", "box", "point", "edit_colour", "edit_size", "edit_remove"):
        assert all_of(name, ALIKE) == set()
    assert all_of("count", ALIKE) >= {said("how many circles are there?", "2")}
    first, second = Point(40 / 64, 10 / 64), Point(12 / 64, 20 / 64)
    assert all_of("pointing", ALIKE) == {("count the circles by pointing", "->", first, second, "2")}


def test_what_is_here_names_the_object_of_a_box():
    expected = {
        ("what is here?", box_of(item, 64), "->", f"a {item.name}") for item in (CIRCLE, SQUARE, STAR)
    }
    assert all_of("name", SCENE) == expected


def test_existence_is_balanced_and_its_negatives_are_absent_and_never_held_out():
    there = {(o.shape, o.colour) for o in SCENE.objects}
    answers, near = Counter(), 0
    for i in range(2000):
        asked = questions.ask_exist(SCENE, SEEN, Random(i))
        answer = asked.answer[0].content
        words = asked.question[0].content.removesuffix("?").split()
        answers[answer] += 1
        colour, shape = words[-2:]
        assert words[2] == ("an" if colour == "orange" else "a")
        assert ((shape, colour) in there) == (answer == "yes") and (shape, colour) not in HELD_OUT
        near += answer == "no" and any(shape == s or colour == c for s, c in there)
    assert abs(answers["yes"] / 2000 - 0.5) < 0.05
    assert near > 0.5 * answers["no"]


def after(name, instruction, scene=SCENE, looks=SEEN):
    found = [a for a in all_of(name, scene, looks=looks) if a[0] == instruction]
    (only,) = found
    return only[-1]


def test_edits_of_a_scene_written_by_hand():
    blue = SceneObject("circle", "blue", "small", 12, 20)
    assert after("edit_colour", "make the red circle blue") == Scene((blue, SQUARE, STAR), 64)
    small = SceneObject("square", "blue", "small", 44, 24)
    assert after("edit_size", "make the blue square small") == Scene((CIRCLE, small, STAR), 64)
    assert after("edit_remove", "remove the red star") == Scene((CIRCLE, SQUARE), 64)
    large = SceneObject("circle", "red", "large", 12, 20)
    assert after("edit_size", "make the red circle large") == Scene((large, SQUARE, STAR), 64)
    assert all_of("edit_add", SCENE) == set()  # three objects are the most


def test_an_object_does_not_grow_beyond_the_canvas_or_into_another():
    edge = SceneObject("circle", "red", "small", 8, 20)
    near = SceneObject("star", "green", "small", 44, 46)
    scene = Scene((edge, SQUARE, near), 64)
    instructions = {found[0] for found in all_of("edit_size", scene)}
    assert instructions == {"make the blue square small"}


def test_an_addition_lies_where_it_says():
    scene = Scene((CIRCLE,), 64)
    for i in range(200):
        asked = edits.edit_add(scene, SEEN, Random(i))
        if asked is None:
            continue
        (old, new), words = asked.answer[0].content.objects, asked.question[0].content
        assert old == CIRCLE and words.startswith(f"add a {new.name} at the ")
        assert edits.place_of(new, 64) == words.split(" at the ")[1]
        assert edits.fits(new, [old], 64) and (new.shape, new.colour) not in HELD_OUT


def held_out_words(segments):
    words = " ".join(s.content for s in segments if s.modality == "text")
    return any(f"{colour} {shape}" in words for shape, colour in HELD_OUT)


@settings(max_examples=150, deadline=None)
@given(seeds, any_task, st.sampled_from([48, 64]))
def test_a_seed_is_a_task_forever_and_shows_and_names_nothing_held_out(seed, task, canvas):
    sample = sample_task(seed, tasks=[task], canvas=canvas, turns=3)
    assert sample == sample_task(seed, tasks=[task], canvas=canvas, turns=3)
    scenes = [*sample.scenes] + [s.content for a in sample.turns for s in a.answer if s.modality == "image"]
    for scene in scenes:
        assert not any(item.held_out for item in scene.objects) and 1 <= len(scene.objects) <= 3
        render(scene)  # every object lies inside
    assert not any(held_out_words((*a.question, *a.answer)) for a in sample.turns)
    assert len({a.question for a in sample.turns}) == len(sample.turns)


@settings(max_examples=100, deadline=None)
@given(seeds, any_task)
def test_held_out_tasks_show_a_held_out_composition(seed, task):
    sample = sample_task(TEST_SEED + seed, tasks=[task], held_out=True)
    assert any(item.held_out for item in sample.scene.objects)
    if task in ("exist", "box", "name", "edit_remove"):
        ((asked,),) = (sample.turns,)
        assert any(item.held_out for item in asked.about) or held_out_words(asked.question)


@settings(max_examples=100, deadline=None)
@given(seeds, st.sampled_from([48, 64]))
def test_boxes_hold_exactly_the_pixels_of_their_object(seed, canvas):
    sample = sample_task(seed, tasks=["box"], canvas=canvas)
    ((asked,), scene) = sample.turns, sample.scene
    (item,) = asked.about
    image = render(Scene((item,), canvas))
    rows, columns = np.nonzero((image != BACKGROUND).any(axis=2))
    edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert asked.answer[0].content.pixels(canvas, canvas) == pytest.approx(edges, abs=1e-9)
    left, top, right, bottom = edges
    x, y = point_of(item, canvas).pixels(canvas, canvas)
    assert left < x < right and top < y < bottom and item in scene.objects


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_relations_are_true_or_their_opposite_is(seed):
    sample = sample_task(seed, tasks=["relation"])
    ((asked,), scene) = sample.turns, sample.scene
    a, b = asked.about
    name = next(r for r in questions.OPPOSITE if f" {r} the " in asked.question[0].content)
    true = is_related(a, b, name, scene.canvas)
    assert true == (asked.answer[0].content == "yes")
    assert true or is_related(a, b, questions.OPPOSITE[name], scene.canvas)


def test_yes_and_no_are_equally_frequent():
    for task in ("exist", "relation"):
        answers = Counter(sample_task(i, tasks=[task]).turns[0].answer[0].content for i in range(1000))
        assert abs(answers["yes"] - answers["no"]) < 120


def test_a_task_is_a_document_whose_answers_alone_are_learned():
    document = to_document(sample_task(5, tasks=["color", "box", "name"], turns=3))
    assert document[0].modality == "image" and not document[0].learn
    learned = [segment.content for segment in document if segment.learn]
    assert learned and not any(str(content).endswith("?") for content in learned)
    everything = to_document(sample_task(5, tasks=["color", "box", "name"], turns=3), learn_all=True)
    assert all(segment.learn for segment in everything)


def test_an_edit_ends_with_a_picture():
    source = ShapesTasks(count=5, canvas=48, tasks=["edit_colour"], turns=4)
    for index in range(5):
        before, instruction, image = source[index]
        assert instruction.content.startswith("make the ") and image.learn and not before.learn
        assert before.content.size == image.content.size == (48, 48)
        changed = np.asarray(before.content) != np.asarray(image.content)
        assert 0 < changed.any(axis=2).mean() < 0.2


def test_a_source_that_names_no_tasks_asks_what_it_always_asked():
    """So a seed's document stays what it was when a task is added: digests of the documents of 0.1."""
    assert list(USUAL) == ["color", "shape", "count", "exist", "relation", "box", "point", "name", "pointing",
                           "edit_colour", "edit_size", "edit_remove", "edit_add"]  # fmt: skip
    asked = [turn for i in range(40) for turn in sample_task(i, tasks=tuple(USUAL), canvas=48, turns=4).turns]
    named = repr(asked).replace("QuestionAnswer(", "Asked(")  # the class's name in 0.1
    digest = hashlib.sha256(named.encode()).hexdigest()
    assert digest == "c267a7ea69f772b429c93686e245d4afb815efaed34dddfc5bea5d24c56ee6bf"


def test_the_source_can_be_pickled_and_its_documents_are_trained_on():
    source = pickle.loads(pickle.dumps(ShapesTasks(count=6, canvas=48, turns=2)))
    codec = tiny_model(more=[BoxModality(), PointModality()]).codec
    packed = PackedDocuments(EncodedSource(source, codec), codec, row_length=400, condition_dropout=0.5,
                             unprompted=["image"])  # fmt: skip
    batch = packed[DocumentBatch(0, np.arange(6))]
    learned = batch.targets[batch.targets >= 0]
    assert len(learned) and not torch.isin(learned, torch.tensor([codec.vocabulary.pad])).any()


@pytest.mark.parametrize(
    "options, message",
    [({"tasks": ["colour"]}, "some of color, shape"), ({"tasks": []}, "got tasks"), ({"turns": 0}, "turns 0"),
     ({"first_seed": SPLIT_SEEDS - 1, "count": 2}, "one split"), ({"canvas": 20}, "48 pixels")],
)  # fmt: skip
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ShapesTasks(**{"count": 2, **options})
