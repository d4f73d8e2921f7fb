"""Statements about two scenes. Knows no model and no pixels.

In a document both pictures come first, then the sentence, then "true" or "false".
"""

from collections.abc import Sequence
from random import Random

from unitok.worlds.seeded import one_of
from unitok.worlds.shapes.questions import Asked, Look
from unitok.worlds.shapes.statements import Claimed, Subject, decided, subjects
from unitok.worlds.shapes.world import Scene

WHICH = ("first", "second")


def ask_statement_two(first: Scene, second: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """A statement about two scenes, of one of four forms."""
    forms = (_more_in_one, _shown_in_one, _shown_in_some, _counted_in_one)
    return one_of(rng, forms)((first, second), rng)


def _more_in_one(pair: Sequence[Scene], rng: Random) -> Asked | None:
    """the first picture has more circles than the second"""
    options, more = [], rng.random() < 0.5
    for one in subjects(*pair):
        counts = [len(one.of(scene)) for scene in pair]
        for which, difference in zip(WHICH, (counts[0] - counts[1], counts[1] - counts[0]), strict=True):
            if difference:
                than = WHICH[which == "first"]
                words = f"the {which} picture has {'more' if more else 'fewer'} {one.name}s than the {than}"
                options.append(Claimed(words, (difference > 0) == more, (*one.of(pair[0]), *one.of(pair[1]))))
    return decided(rng, options)


def _shown_in_one(pair: Sequence[Scene], rng: Random) -> Asked | None:
    """the second picture shows a red square. If it does not, the first one does."""
    options = [
        Claimed(f"the {which} picture shows {one.one}", bool(one.of(scene)), one.of(scene) or one.of(other))
        for one in subjects(*pair)
        if any(not one.of(scene) for scene in pair)
        for which, scene, other in zip(WHICH, pair, reversed(pair), strict=True)
    ]
    return decided(rng, options)


def _shown_in_some(pair: Sequence[Scene], rng: Random) -> Asked | None:
    """both pictures show a red square; exactly one picture shows a star"""
    wanted, start = one_of(rng, ((2, "both pictures show"), (1, "exactly one picture shows")))
    level = [one for one in subjects(*pair) if one != Subject()]
    traits = one_of(rng, (1, 2))
    return decided(
        rng,
        [
            Claimed(
                f"{start} {one.one}", len(showing) == wanted, tuple(i for s in showing for i in one.of(s))
            )
            for one in level
            if sum(trait is not None for trait in one) == traits
            for showing in [[scene for scene in pair if one.of(scene)]]
        ],
    )


def _counted_in_one(pair: Sequence[Scene], rng: Random) -> Asked | None:
    """the second picture has 2 objects. If it has not, the first one has."""
    options = []
    for one in subjects(*pair):
        found = [one.of(scene) for scene in pair]
        if len(found[0]) == len(found[1]):
            continue
        for which, here in zip(WHICH, found, strict=True):
            for there in (items for items in found if items):
                words = f"the {which} picture has {one.number(len(there), rng)}"
                options.append(Claimed(words, here is there, (*found[0], *found[1])))
    return decided(rng, options)
