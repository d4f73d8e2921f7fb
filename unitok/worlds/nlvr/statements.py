"""Statements about three boxes, in people's words. Knows no model and no pixels.

A statement is judged step by step: something is observed in each box and counted over all three, and the
number decides. For "there are two towers with a blue top", the observations of the tops are "black no", "blue
yes" and "blue yes", the count is 2, and the statement holds.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random
from typing import NamedTuple

from unitok.worlds.nlvr.boxes import MAX_HEIGHT, GreyBox
from unitok.worlds.nlvr.clauses import (
    Clause,
    at,
    colours_of,
    end_colour,
    has,
    over,
    sample_clause,
    size,
    verdict,
)
from unitok.worlds.nlvr.words import Kind, Nouns, amount, colour, kind, number, plural, touching
from unitok.worlds.seeded import one_of

TOWERS = (Nouns("tower", "block"),) * 4 + (Nouns("box", "item"),)
BOXES = (
    Nouns("box", "item"),
    Nouns("box", "item"),
    Nouns("grey box", "object"),
    Nouns("grey square", "object"),
)
BLOCKS = TOWERS[0]


class Statement(NamedTuple):
    """A sentence, the observation in each box, the count over all boxes, and which counts make it true."""

    words: str
    observe: Callable[[GreyBox], str]
    count: Callable[[Sequence[GreyBox]], int]
    allows: Callable[[int], bool]

    def holds(self, boxes: Sequence[GreyBox]) -> bool:
        """Whether the statement is true of three boxes."""
        return self.allows(self.count(boxes))

    def reasons(self, boxes: Sequence[GreyBox]) -> list[str]:
        """The observation in each box, and last the count and the verdict."""
        total = self.count(boxes)
        return [*map(self.observe, boxes), f"{total} {verdict(self.allows(total))}"]


def sample_statement(rng: Random, *, towers: bool) -> Statement:
    """Samples a statement about towers or about scattered objects."""
    nouns = one_of(rng, TOWERS if towers else BOXES)
    forms = (_quantified, _quantified, _total, _total, _total, _none_of)
    if towers:
        forms = (_quantified, _quantified, _quantified, _quantified, _ends, _ends, _ends, _on_top, _on_top,
                 _definite, _one_coloured, _same_colour, _total)  # fmt: skip
    return one_of(rng, forms)(rng, nouns, towers=towers)


@lru_cache(maxsize=4)
def statements_by_words(count: int) -> dict[str, Statement]:
    """Samples `count` statements, by their words: the meanings of sentences that people wrote."""
    rng = Random("statements by words")
    samples = (sample_statement(rng, towers=bool(number % 2)) for number in range(count))
    return {statement.words: statement for statement in samples}


def _number_of_boxes(words: str, clause: Clause, allows: Callable[[int], bool]) -> Statement:
    """A statement about the number of boxes for which a clause holds."""
    return Statement(words, clause.reason, lambda boxes: sum(map(clause.holds, boxes)), allows)


def _number_of_items(words: str, which: Kind, allows: Callable[[int], bool]) -> Statement:
    """A statement about the number of objects in all boxes together."""
    return Statement(words, which.observe, lambda boxes: sum(map(which.count, boxes)), allows)


def _some(n: int) -> bool:
    return n >= 1


def _all(n: int) -> bool:
    return n == 3


def _quantified(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """Such as "there are exactly two towers with a blue block at the top"."""
    clause, noun = sample_clause(rng, nouns, towers=towers), nouns.box
    if rng.random() < 0.15:
        return _each_or_one(rng, clause, nouns, towers=towers)
    number_of = amount(rng, noun, maximum=3, none=0.08)
    verb, first = number_of.verb, number_of.words.split()[0]
    allows = _some if first in ("one", "1") else number_of.allows  # "one" does not exclude others
    joint = one_of(rng, ("with", "with", "with", "that has", "which has"))
    if not number_of.singular and rng.random() < 0.7:
        joint = joint.replace("has", "have")
    return _number_of_boxes(f"there {verb} {number_of.words} {joint} {clause.words}", clause, allows)


def _each_or_one(rng: Random, clause: Clause, nouns: Nouns, *, towers: bool) -> Statement:
    """Such as "each box has a blue item" or "one of the towers has a black base"."""
    noun, verb = nouns.box, one_of(rng, ("has", "has", "contains"))
    all_three = [
        f"each {noun} {verb}",
        f"every {noun} {verb}",
        f"all the {plural(noun)} have",
        f"all 3 {plural(noun)} have",
    ]
    one = [f"one of the {noun} {verb}", f"one of the {plural(noun)} {verb}", f"one {noun} {verb}",
           f"one of the three {plural(noun)} {verb}"]  # fmt: skip
    if rng.random() < 0.2:
        inner = has(rng, nouns, towers=towers)
        verb = "are" if inner.words.endswith("s") else "is"
        each = one_of(rng, ("each", "every"))
        return _number_of_boxes(f"there {verb} {inner.words} in {each} {noun}", inner, _all)
    start = one_of(rng, (*all_three, *one))
    return _number_of_boxes(f"{start} {clause.words}", clause, _all if start in all_three else _some)


def _ends(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """Such as "there are two black blocks as the base of a tower with at least two blocks"."""
    hue, (end, place) = colour(rng), one_of(rng, (("base", 0), ("top", -1)))
    clause = at("", place, hue)
    number_of = amount(rng, f"{hue} block", maximum=3, none=0.1)
    if rng.random() < 0.5:
        clause = clause.join("with", size(rng, BLOCKS, towers=True))
    words = f"there {number_of.verb} {number_of.words} as the {end} of a tower{clause.words}"
    return _number_of_boxes(words, clause, number_of.allows)


def _on_top(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """Such as "there is a yellow block on a blue block"."""
    clause = over(rng, BLOCKS, towers=True)
    start = one_of(rng, ("there is", "there is", "there is", "no"))
    if start == "no":
        return _number_of_boxes(f"there is no {clause.words.removeprefix('a ')}", clause, lambda n: n == 0)
    return _number_of_boxes(f"{start} {clause.words}", clause, _some)


def _definite(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """Such as "the tower with three blocks has a blue top"."""
    if rng.random() < 0.2:
        return _nth_block(rng)
    height, exactly = 1 + int(rng.random() * MAX_HEIGHT), one_of(rng, ("", "", "exactly "))
    has_height = Clause("", lambda box: str(len(box)), lambda box: len(box) == height)
    more = one_of(rng, (end_colour, end_colour, over))(rng, BLOCKS, towers=True)
    start = one_of(rng, ("the", "the", "one of the"))
    words = f"{start} tower with {exactly}{number(rng, height)} block{'s' * (height > 1)} has {more.words}"
    return _number_of_boxes(words, has_height.join("", more), _some)


def _nth_block(rng: Random) -> Statement:
    """Such as "the second block from the base of a tower is black"."""
    hue, (place, name) = colour(rng), one_of(rng, ((1, "second"), (1, "second"), (2, "third")))
    of = one_of(rng, ("from the base of a tower", "of a tower from the base", "of a tower"))
    return _number_of_boxes(f"the {name} block {of} is {hue}", at("", place, hue), _some)


def _one_coloured(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """Such as "there is a blue tower with only one block"."""
    hue = colour(rng)
    clause = Clause("", colours_of, lambda box: colours_of(box) == hue)
    if rng.random() < 0.6:
        clause = clause.join("with", size(rng, BLOCKS, towers=True))
    return _number_of_boxes(f"there is a {hue} tower{clause.words}", clause, _some)


def _same_colour(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """Such as "the top of the three towers are not the same in color"."""
    end, place = one_of(rng, (("base", 0), ("top", -1)))
    words, allows = one_of(
        rng,
        (
            (f"all the {end} of the towers are the same in color", lambda n: n == 1),
            (f"the {end} of the three towers are the same in color", lambda n: n == 1),
            (f"the {end} of the three towers are not the same in color", lambda n: n > 1),
            (f"there are two towers that has the same {end} color", lambda n: n <= 2),
            (f"there are two towers with block of same color at {end}", lambda n: n <= 2),
        ),
    )
    return Statement(
        words,
        lambda box: box[place].colour,
        lambda boxes: len({box[place].colour for box in boxes}),
        allows,
    )


def _total(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """Such as "there are exactly three black squares not touching any edge"."""
    which = kind(rng, nouns, towers=towers)
    number_of = amount(rng, which.name, maximum=4, none=0.1)
    words = f"there {number_of.verb} {number_of.words}"
    if not towers and rng.random() < 0.7:
        where = touching(rng)
        which, words = which.both(where), f"{words} {where.name}"
        if rng.random() < 0.15:  # such as "three triangles are not touching the wall"
            words = f"{number_of.words} {number_of.verb} {where.name}"
    return _number_of_items(words, which, number_of.allows)


def _none_of(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """Such as "none of the blue circles are touching any edge"."""
    which, where = kind(rng, nouns, towers=towers), touching(rng)
    words = f"none of the {plural(which.name)} are {where.name}"
    return _number_of_items(words, which.both(where), lambda n: n == 0)
