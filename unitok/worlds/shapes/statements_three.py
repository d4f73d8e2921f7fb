"""Statements about three scenes: about how many of them show something, or about all together.

No statement names a particular image, so their order does not matter. In a document the images come first,
then the sentence, then "true" or "false", as in NLVR. Knows no model.
"""

from collections.abc import Callable, Sequence
from itertools import permutations
from random import Random

from unitok.worlds.seeded import one_of
from unitok.worlds.shapes.questions import Look, QuestionAnswer, look
from unitok.worlds.shapes.statements import COMPARISONS, COUNTS, Statement, Subject, choose_by_coin
from unitok.worlds.shapes.world import COLOURS, SHAPES, Scene, SceneObject

ObjectsByImage = list[tuple[SceneObject, ...]]
"""The objects in each image that a statement is about."""
QUANTIFIERS: dict[str, Callable[[int], bool]] = {
    "there is a picture with": lambda images: images >= 1,
    "exactly one picture has": lambda images: images == 1,
    "there are two pictures with": lambda images: images == 2,
    "every picture has": lambda images: images == 3,
    "no picture has": lambda images: images == 0,
}
"""Beginnings of statements, with the number of images for which each must hold."""
TOTALS = range(1, 9)
"""Counts over all images together."""


def ask_statement_three(
    first: Scene, second: Scene, third: Scene, looks: Sequence[Look], rng: Random
) -> QuestionAnswer | None:
    """A statement about three scenes, of one of four forms."""
    forms = (_count_per_image, _presence, _joint_presence, _total_count)
    return one_of(rng, forms)((first, second, third), looks, rng)


def _count_per_image(scenes: Sequence[Scene], looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "there is a picture with exactly two red circles"."""
    start, comparison = one_of(rng, tuple(QUANTIFIERS)), one_of(rng, tuple(COMPARISONS))
    count, options = one_of(rng, COUNTS), []
    for subject, by_image in _subjects_of_one_level(scenes, looks, rng):
        holds = QUANTIFIERS[start](sum(COMPARISONS[comparison](len(items), count) for items in by_image))
        options.append(_statement(f"{start} {comparison}{subject.with_number(count, rng)}", holds, by_image))
    return choose_by_coin(rng, options)


def _presence(scenes: Sequence[Scene], looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "every picture has a circle"."""
    start, options = one_of(rng, tuple(QUANTIFIERS)), []
    for subject, by_image in _subjects_of_one_level(scenes, looks, rng):
        holds = QUANTIFIERS[start](sum(map(bool, by_image)))
        options.append(_statement(f"{start} {subject.with_article}", holds, by_image))
    return choose_by_coin(rng, options)


def _joint_presence(scenes: Sequence[Scene], looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "exactly one picture has a circle and a star"."""
    start, options = one_of(rng, tuple(QUANTIFIERS)), []
    for (a, items_a), (b, items_b) in permutations(_subjects_of_one_level(scenes, looks, rng), 2):
        both = [(*x, *y) if x and y else () for x, y in zip(items_a, items_b, strict=True)]
        holds = QUANTIFIERS[start](sum(map(bool, both)))
        options.append(_statement(f"{start} {a.with_article} and {b.with_article}", holds, both))
    return choose_by_coin(rng, options)


def _total_count(scenes: Sequence[Scene], looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "there are at least 4 circles in all"."""
    comparison, level = one_of(rng, tuple(COMPARISONS)), _subjects_of_one_level(scenes, looks, rng)
    totals = [sum(map(len, by_image)) for _, by_image in level]
    count = one_of(rng, tuple(sorted({*totals} & {*TOTALS})) or (1,))
    verb, options = "there is" if count == 1 else "there are", []
    for (subject, by_image), total in zip(level, totals, strict=True):
        words = f"{verb} {comparison}{subject.with_number(count, rng)} in all"
        options.append(_statement(words, COMPARISONS[comparison](total, count), by_image))
    return choose_by_coin(rng, options)


def _subjects_of_one_level(
    scenes: Sequence[Scene], looks: Sequence[Look], rng: Random
) -> list[tuple[Subject, ObjectsByImage]]:
    """All shapes, all colours, or looks that share a trait with an object, each with its objects by image.

    Only one level, so that the specificity of the words does not reveal the answer.
    """
    traits = {trait for scene in scenes for item in scene.objects for trait in look(item)}
    near = [Subject(*pair) for pair in looks if traits & {*pair}]
    level = one_of(rng, ([Subject(shape=s) for s in SHAPES], [Subject(colour=c) for c in COLOURS], near))
    return [(subject, [subject.objects_in(scene) for scene in scenes]) for subject in level]


def _statement(words: str, holds: bool, by_image: ObjectsByImage) -> Statement:
    return Statement(words, holds, tuple(item for items in by_image for item in items))
