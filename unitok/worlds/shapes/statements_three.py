"""Statements about three scenes: what some of them show, or all together.

No statement names a picture, so their order says nothing. In a document the pictures come first, then the
sentence, then "true" or "false", as in NLVR. Knows no model.
"""

from collections.abc import Callable, Sequence
from itertools import permutations
from random import Random

from unitok.worlds.seeded import one_of
from unitok.worlds.shapes.questions import Asked, Look, look
from unitok.worlds.shapes.statements import COUNTS, HOLDS, Claimed, Subject, decided
from unitok.worlds.shapes.world import COLOURS, SHAPES, Scene, SceneObject

Found = list[tuple[SceneObject, ...]]
"""The objects of each picture that a statement is about."""
SOME: dict[str, Callable[[int], bool]] = {
    "there is a picture with": lambda pictures: pictures >= 1,
    "exactly one picture has": lambda pictures: pictures == 1,
    "there are two pictures with": lambda pictures: pictures == 2,
    "every picture has": lambda pictures: pictures == 3,
    "no picture has": lambda pictures: pictures == 0,
}
"""How a statement begins, and of how many pictures it must hold."""
TOTALS = range(1, 9)
"""Counts of all pictures together."""


def ask_statement_three(
    first: Scene, second: Scene, third: Scene, looks: Sequence[Look], rng: Random
) -> Asked | None:
    """A statement about three scenes, of one of four forms."""
    forms = (_counted, _shown, _shown_with, _counted_together)
    return one_of(rng, forms)((first, second, third), looks, rng)


def _counted(scenes: Sequence[Scene], looks: Sequence[Look], rng: Random) -> Asked | None:
    """there is a picture with exactly two red circles"""
    start, many, count = one_of(rng, tuple(SOME)), one_of(rng, tuple(HOLDS)), one_of(rng, COUNTS)
    options = []
    for one, found in _level(scenes, looks, rng):
        holds = SOME[start](sum(HOLDS[many](len(items), count) for items in found))
        options.append(_claimed(f"{start} {many}{one.number(count, rng)}", holds, found))
    return decided(rng, options)


def _shown(scenes: Sequence[Scene], looks: Sequence[Look], rng: Random) -> Asked | None:
    """every picture has a circle"""
    start, options = one_of(rng, tuple(SOME)), []
    for one, found in _level(scenes, looks, rng):
        options.append(_claimed(f"{start} {one.one}", SOME[start](sum(map(bool, found))), found))
    return decided(rng, options)


def _shown_with(scenes: Sequence[Scene], looks: Sequence[Look], rng: Random) -> Asked | None:
    """exactly one picture has a circle and a star"""
    start, options = one_of(rng, tuple(SOME)), []
    for (a, here), (b, there) in permutations(_level(scenes, looks, rng), 2):
        both = [(*x, *y) if x and y else () for x, y in zip(here, there, strict=True)]
        options.append(_claimed(f"{start} {a.one} and {b.one}", SOME[start](sum(map(bool, both))), both))
    return decided(rng, options)


def _counted_together(scenes: Sequence[Scene], looks: Sequence[Look], rng: Random) -> Asked | None:
    """there are at least 4 circles in all"""
    many, level = one_of(rng, tuple(HOLDS)), _level(scenes, looks, rng)
    totals = [sum(map(len, found)) for _, found in level]
    count = one_of(rng, tuple(sorted({*totals} & {*TOTALS})) or (1,))
    verb, options = "there is" if count == 1 else "there are", []
    for (one, found), total in zip(level, totals, strict=True):
        words = f"{verb} {many}{one.number(count, rng)} in all"
        options.append(_claimed(words, HOLDS[many](total, count), found))
    return decided(rng, options)


def _level(scenes: Sequence[Scene], looks: Sequence[Look], rng: Random) -> list[tuple[Subject, Found]]:
    """All shapes, all colours, or looks of which a picture shows a trait: each with its objects.

    One level alone, so that how special the words are does not tell whether they are true.
    """
    traits = {trait for scene in scenes for item in scene.objects for trait in look(item)}
    near = [Subject(*pair) for pair in looks if traits & {*pair}]
    level = one_of(rng, ([Subject(shape=s) for s in SHAPES], [Subject(colour=c) for c in COLOURS], near))
    return [(one, [one.of(scene) for scene in scenes]) for one in level]


def _claimed(words: str, holds: bool, found: Found) -> Claimed:
    return Claimed(words, holds, tuple(item for items in found for item in items))
