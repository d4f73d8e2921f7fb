"""Statements and choices of the shapes world: true by an independent reading, and balanced."""

import re
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases import cases
from tests.worlds.shapes.test_tasks import CIRCLE, SCENE, SQUARE, STAR, all_of
from unitok.worlds.seeded import SPLIT_SEEDS, TEST_SEED, VALIDATION_SEED
from unitok.worlds.shapes.tasks import ShapesTasks, sample_task
from unitok.worlds.shapes.world import COLOURS, HELD_OUT, SHAPES, Scene, is_related

NUMBERS = {"one": 1, "two": 2, "three": 3, **{str(n): n for n in range(1, 10)}}
NUMBER = "(one|two|three|[1-9])"
MANY = "(exactly |at least |at most |)"
SOME = {
    "there is a picture with": (1, 2, 3),
    "exactly one picture has": (1,),
    "there are two pictures with": (2,),
    "every picture has": (3,),
    "no picture has": (0,),
}
NAME = rf"((?:(?:{'|'.join(COLOURS)}) )?(?:{'|'.join(SHAPES)}|object))s?"
seeds = st.integers(0, SPLIT_SEEDS - 1)


def count(name: str, scene: Scene) -> int:
    """How many objects have every word of a name."""
    words = [word for word in name.split() if word != "object"]
    return sum(all(word in (item.shape, item.colour) for word in words) for item in scene.objects)


def compare(more: str, a: int, b: int) -> bool:
    return a > b if more == "more" else a < b


def holds(many: str, number: int, said: str) -> bool:
    wanted = NUMBERS[said]
    return {"at least ": number >= wanted, "at most ": number <= wanted}.get(many, number == wanted)


def place(scene: Scene, words: str):
    (item,) = [item for item in scene.objects if f"{item.colour} {item.shape}" == words]
    return item


def truth_of_one(words: str, scene: Scene) -> bool:
    """A reading of a statement that shares nothing with its making."""
    if found := re.fullmatch(rf"there is no {NAME}", words):
        return count(found[1], scene) == 0
    if found := re.fullmatch(rf"there is an? {NAME}", words):
        return count(found[1], scene) > 0
    if found := re.fullmatch(rf"there (?:is|are) {MANY}{NUMBER} {NAME}", words):
        return holds(found[1], count(found[3], scene), found[2])
    if found := re.fullmatch(rf"there are (more|fewer) {NAME} than {NAME}", words):
        return compare(found[1], count(found[2], scene), count(found[3], scene))
    if found := re.fullmatch(r"the (\w+ \w+) is (left of|right of|above|below) the (\w+ \w+)", words):
        return is_related(place(scene, found[1]), place(scene, found[3]), found[2], scene.canvas)
    found = re.fullmatch(r"the (\w+) (left of|right of|above|below) the (\w+ \w+) is (\w+)", words)
    anchor = place(scene, found[3])
    there = [
        item
        for item in scene.objects
        if item is not anchor and item.shape == found[1] and is_related(item, anchor, found[2], scene.canvas)
    ]
    assert len(there) == 1, words
    return there[0].colour == found[4]


def truth_of_two(words: str, scenes: tuple[Scene, ...]) -> bool:
    pick = {"first": scenes[0], "second": scenes[1]}
    if found := re.fullmatch(rf"the (\w+) picture has (more|fewer) {NAME} than the (\w+)", words):
        assert found[1] != found[4]
        return compare(found[2], count(found[3], pick[found[1]]), count(found[3], pick[found[4]]))
    if found := re.fullmatch(rf"the (\w+) picture shows an? {NAME}", words):
        return count(found[2], pick[found[1]]) > 0
    if found := re.fullmatch(rf"the (\w+) picture has {NUMBER} {NAME}", words):
        return count(found[3], pick[found[1]]) == NUMBERS[found[2]]
    found = re.fullmatch(rf"(both pictures show|exactly one picture shows) an? {NAME}", words)
    showing = sum(count(found[2], scene) > 0 for scene in scenes)
    return showing == (2 if found[1].startswith("both") else 1)


def truth_of_three(words: str, scenes: tuple[Scene, ...]) -> bool:
    if found := re.fullmatch(rf"there (?:is|are) {MANY}{NUMBER} {NAME} in all", words):
        return holds(found[1], sum(count(found[3], scene) for scene in scenes), found[2])
    start = next(start for start in SOME if words.startswith(start))
    rest = words.removeprefix(f"{start} ")
    if found := re.fullmatch(f"{MANY}{NUMBER} {NAME}", rest):
        showing = [holds(found[1], count(found[3], scene), found[2]) for scene in scenes]
    else:
        found = re.fullmatch(rf"an? {NAME}(?: and an? {NAME})?", rest)
        showing = [all(count(name, scene) for name in found.groups() if name) for scene in scenes]
    return sum(showing) in SOME[start]


@settings(max_examples=150, deadline=None)
@given(seeds, st.sampled_from([0, VALIDATION_SEED, TEST_SEED]), st.booleans())
def test_statements_are_what_they_say_they_are(seed, split, held_out):
    sample = sample_task(split + seed, tasks=["statement"], canvas=48, turns=3, held_out=held_out)
    for asked in sample.turns:
        (statement,), (verdict,) = asked.question, asked.answer
        assert truth_of_one(statement.content, sample.scene) == (verdict.content == "true"), statement.content


@pytest.mark.parametrize(("task", "images"), [("statement_two", 2), ("statement_three", 3)])
@settings(max_examples=150, deadline=None)
@given(seeds, st.sampled_from([0, VALIDATION_SEED, TEST_SEED]), st.booleans())
def test_statements_about_several_are_what_they_say_they_are(task, images, seed, split, held_out):
    sample = sample_task(split + seed, tasks=[task], canvas=48, turns=3, held_out=held_out)
    assert len(sample.scenes) == images and sample.scenes[0] != sample.scenes[1]
    truth = {2: truth_of_two, 3: truth_of_three}[images]
    for asked in sample.turns:
        (statement,), (verdict,) = asked.question, asked.answer
        assert truth(statement.content, sample.scenes) == (verdict.content == "true"), statement.content


def test_statements_about_a_scene_written_by_hand():
    found = {words: verdict for words, _, verdict in all_of("statement", SCENE, tries=1500)}
    assert found["the circle left of the blue square is red"] == "true"
    assert found["the circle left of the blue square is green"] == "false"
    assert found["the red circle is above the red star"] == "true"
    assert found["the red circle is below the red star"] == "false"
    assert found["there are more red objects than blue objects"] == "true"
    assert found["there is a blue circle"] == "false" and found["there is no triangle"] == "true"
    assert found["there are exactly two red objects"] == "true"
    assert not any(
        "gray circle" in words or "circle left of the blue square is gray" in words for words in found
    )


@pytest.mark.parametrize(
    ("task", "usual"), [("statement", 0.5), ("statement_two", 0.5), ("statement_three", 0.4)]
)
@cases(1000, 4000)
def test_true_and_false_are_equally_frequent_and_the_form_tells_little(task, usual, count):
    verdicts, forms = Counter(), defaultdict(Counter)
    for seed in range(count):
        (asked,) = sample_task(seed, tasks=[task], canvas=48).turns
        verdict = asked.answer[0].content
        verdicts[verdict] += 1
        form = re.sub("|".join(COLOURS), "C", asked.question[0].content).replace("an C", "a C")
        forms[re.sub("|".join(SHAPES), "S", form)][verdict] += 1
    assert verdicts.keys() == {"true", "false"} and abs(verdicts["true"] / count - 0.5) < 0.05
    halves = [sum(form.values()) for form in forms.values() if sum(form.values()) >= 20]
    best = [max(form.values()) for form in forms.values() if sum(form.values()) >= 20]
    assert sum(halves) > count * usual and sum(best) / sum(halves) < 0.62


def test_a_document_about_two_pictures_begins_with_both():
    source = ShapesTasks(count=20, canvas=48, tasks=["statement_two"], turns=3)
    for index in range(20):
        document = source[index]
        assert [s.modality for s in document[:4]] == ["image", "image", "text", "text"]
        assert [s.learn for s in document] == [False, False] + [False, True] * (len(document) // 2 - 1)
        assert document[0].content.size == document[1].content.size == (48, 48)
        assert {s.content for s in document if s.learn} <= {"true", "false"}


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_choices_hold_the_answer_and_nothing_else_that_fits(seed):
    sample = sample_task(seed, tasks=["choice"], canvas=48)
    ((asked,), scene) = sample.turns, sample.scene
    question, offered = asked.question[0].content.split("? ")
    words = offered.removesuffix("?").replace(" or ", ", ").split(", ")
    answer = asked.answer[0].content
    assert 2 <= len(set(words)) == len(words) <= 4 and answer in words
    subject = question.split()[-1]
    fits = [item for item in scene.objects if subject in (item.shape, item.colour)]
    assert len(fits) == 1 and answer in (fits[0].shape, fits[0].colour)
    named = [(fits[0].shape, word) if word in COLOURS else (word, fits[0].colour) for word in words]
    assert not set(named) & set(HELD_OUT)


def test_the_place_of_the_right_choice_tells_nothing():
    places = Counter()
    for seed in range(1200):
        (asked,) = sample_task(seed, tasks=["choice"], canvas=48).turns
        words = asked.question[0].content.split("? ")[1].removesuffix("?").replace(" or ", ", ").split(", ")
        if len(words) == 4:
            places[words.index(asked.answer[0].content)] += 1
    assert len(places) == 4 and max(places.values()) < 0.31 * sum(places.values())


def test_objects_of_the_hand_written_scene_are_what_the_readings_say():
    assert (count("object", SCENE), count("red object", SCENE), count("star", SCENE)) == (3, 2, 1)
    assert place(SCENE, "red circle") is CIRCLE and place(SCENE, "red star") is STAR
    assert place(SCENE, "blue square") is SQUARE
