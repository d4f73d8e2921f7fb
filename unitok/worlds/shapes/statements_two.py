"""Statements about two scenes. Knows no model and no pixels.

In a document both images come first, then the sentence, then "true" or "false".
"""

from collections.abc import Sequence
from random import Random

from unitok.worlds.seeded import one_of
from unitok.worlds.shapes.questions import Look, QuestionAnswer
from unitok.worlds.shapes.statements import Statement, Subject, choose_by_coin, subjects
from unitok.worlds.shapes.world import Scene

ORDINALS = ("first", "second")


def ask_statement_two(
    first: Scene, second: Scene, looks: Sequence[Look], rng: Random
) -> QuestionAnswer | None:
    """A statement about two scenes, of one of four forms."""
    forms = (_comparison, _presence_in_one, _presence_in_some, _count_in_one)
    return one_of(rng, forms)((first, second), rng)


def _comparison(pair: Sequence[Scene], rng: Random) -> QuestionAnswer | None:
    """Such as "the first picture has more circles than the second"."""
    options, more = [], rng.random() < 0.5
    for subject in subjects(*pair):
        first, second = (subject.objects_in(scene) for scene in pair)
        difference = len(first) - len(second)
        for which, larger_by in zip(ORDINALS, (difference, -difference), strict=True):
            if larger_by:
                other = ORDINALS[which == "first"]
                amount = "more" if more else "fewer"
                words = f"the {which} picture has {amount} {subject.name}s than the {other}"
                options.append(Statement(words, (larger_by > 0) == more, (*first, *second)))
    return choose_by_coin(rng, options)


def _presence_in_one(pair: Sequence[Scene], rng: Random) -> QuestionAnswer | None:
    """Such as "the second picture shows a red square". If it does not, the first one does."""
    options = []
    for subject in subjects(*pair):
        both = [subject.objects_in(scene) for scene in pair]
        if all(both):
            continue
        for which, items, others in zip(ORDINALS, both, reversed(both), strict=True):
            words = f"the {which} picture shows {subject.with_article}"
            options.append(Statement(words, bool(items), items or others))
    return choose_by_coin(rng, options)


def _presence_in_some(pair: Sequence[Scene], rng: Random) -> QuestionAnswer | None:
    """Such as "both pictures show a red square" or "exactly one picture shows a star"."""
    number, start = one_of(rng, ((2, "both pictures show"), (1, "exactly one picture shows")))
    level = [subject for subject in subjects(*pair) if subject != Subject()]
    traits, options = one_of(rng, (1, 2)), []
    for subject in level:
        if sum(trait is not None for trait in subject) == traits:
            both = [items for items in map(subject.objects_in, pair) if items]
            about = tuple(item for items in both for item in items)
            options.append(Statement(f"{start} {subject.with_article}", len(both) == number, about))
    return choose_by_coin(rng, options)


def _count_in_one(pair: Sequence[Scene], rng: Random) -> QuestionAnswer | None:
    """Such as "the second picture has 2 objects". If it has not, the first one has."""
    options = []
    for subject in subjects(*pair):
        both = [subject.objects_in(scene) for scene in pair]
        if len(both[0]) == len(both[1]):
            continue
        for which, items in zip(ORDINALS, both, strict=True):
            for counted in (items for items in both if items):
                words = f"the {which} picture has {subject.with_number(len(counted), rng)}"
                options.append(Statement(words, items is counted, (*both[0], *both[1])))
    return choose_by_coin(rng, options)
