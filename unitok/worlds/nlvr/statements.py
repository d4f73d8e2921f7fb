"""Statements about three boxes, in the words that people use for them. Knows no model and no pixels.

A statement is judged step by step: what matters is seen of each box, then counted over all three, and the
number decides. "there are two towers with a blue top" sees the top of each, "black no", "blue yes", "blue
yes", counts 2, and holds.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random
from typing import NamedTuple

from unitok.worlds.nlvr.boxes import HIGHEST, Box
from unitok.worlds.nlvr.clauses import Clause, at, draw_clause, ends, has, hues_of, over, sized, verdict
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
    """A sentence, what is seen of a box, what is counted over all boxes, and of which number it holds."""

    words: str
    seen: Callable[[Box], str]
    count: Callable[[Sequence[Box]], int]
    suits: Callable[[int], bool]

    def holds(self, boxes: Sequence[Box]) -> bool:
        """Whether it is true of three boxes."""
        return self.suits(self.count(boxes))

    def reasons(self, boxes: Sequence[Box]) -> list[str]:
        """What is seen of each box, and last what is counted and the verdict."""
        total = self.count(boxes)
        return [*map(self.seen, boxes), f"{total} {verdict(self.suits(total))}"]


def draw_statement(rng: Random, *, towers: bool) -> Statement:
    """A statement about towers or about things that lie anywhere."""
    nouns = one_of(rng, TOWERS if towers else BOXES)
    forms = (_quantified, _quantified, _in_all, _in_all, _in_all, _none_of)
    if towers:
        forms = (_quantified, _quantified, _quantified, _quantified, _ended, _ended, _ended, _lying, _lying,
                 _the_one, _coloured, _alike, _in_all)  # fmt: skip
    return one_of(rng, forms)(rng, nouns, towers=towers)


@lru_cache(maxsize=4)
def statements_by_words(count: int) -> dict[str, Statement]:
    """So many drawn statements by their words, which say what sentences mean that people wrote."""
    rng = Random("statements by words")
    drawn = (draw_statement(rng, towers=bool(number % 2)) for number in range(count))
    return {statement.words: statement for statement in drawn}


def _number_of(words: str, clause: Clause, suits: Callable[[int], bool]) -> Statement:
    """A statement about the number of boxes that have something."""
    return Statement(words, clause.told, lambda boxes: sum(map(clause.of, boxes)), suits)


def _number_in_all(words: str, which: Kind, suits: Callable[[int], bool]) -> Statement:
    """A statement about the number of things in all boxes together."""
    return Statement(words, which.told, lambda boxes: sum(map(which.count, boxes)), suits)


def _some(n: int) -> bool:
    return n >= 1


def _all(n: int) -> bool:
    return n == 3


def _quantified(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """there are exactly two towers with a blue block at the top"""
    clause, place = draw_clause(rng, nouns, towers=towers), nouns.place
    if rng.random() < 0.15:
        return _started(rng, clause, nouns, towers=towers)
    many = amount(rng, place, most=3, none=0.08)
    verb, plain = many.verb, many.words.split()[0]
    suits = _some if plain in ("one", "1") else many.suits  # one of them does not say that others have not
    joint = one_of(rng, ("with", "with", "with", "that has", "which has"))
    if not many.single and rng.random() < 0.7:
        joint = joint.replace("has", "have")
    return _number_of(f"there {verb} {many.words} {joint} {clause.words}", clause, suits)


def _started(rng: Random, clause: Clause, nouns: Nouns, *, towers: bool) -> Statement:
    """each box has a blue item; one of the towers has a black base"""
    place, verb = nouns.place, one_of(rng, ("has", "has", "contains"))
    all_three = [
        f"each {place} {verb}",
        f"every {place} {verb}",
        f"all the {plural(place)} have",
        f"all 3 {plural(place)} have",
    ]
    one = [f"one of the {place} {verb}", f"one of the {plural(place)} {verb}", f"one {place} {verb}",
           f"one of the three {plural(place)} {verb}"]  # fmt: skip
    if rng.random() < 0.2:
        many = has(rng, nouns, towers=towers)
        verb = "are" if many.words.endswith("s") else "is"
        return _number_of(
            f"there {verb} {many.words} in {one_of(rng, ('each', 'every'))} {place}", many, _all
        )
    start = one_of(rng, (*all_three, *one))
    return _number_of(f"{start} {clause.words}", clause, _all if start in all_three else _some)


def _ended(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """there are two black blocks as the base of a tower with at least two blocks"""
    hue, (end, place) = colour(rng), one_of(rng, (("base", 0), ("top", -1)))
    clause = at("", place, hue)
    many = amount(rng, f"{hue} block", most=3, none=0.1)
    if rng.random() < 0.5:
        clause = clause.with_("with", sized(rng, BLOCKS, towers=True))
    return _number_of(
        f"there {many.verb} {many.words} as the {end} of a tower{clause.words}", clause, many.suits
    )


def _lying(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """there is a yellow block on a blue block"""
    clause = over(rng, BLOCKS, towers=True)
    start = one_of(rng, ("there is", "there is", "there is", "no"))
    if start == "no":
        return _number_of(f"there is no {clause.words.removeprefix('a ')}", clause, lambda n: n == 0)
    return _number_of(f"{start} {clause.words}", clause, _some)


def _the_one(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """the tower with three blocks has a blue top; the second block from the base of a tower is black"""
    if rng.random() < 0.2:
        return _nth(rng)
    high, exactly = 1 + int(rng.random() * HIGHEST), one_of(rng, ("", "", "exactly "))
    size = Clause("", lambda box: str(len(box)), lambda box: len(box) == high)
    more = one_of(rng, (ends, ends, over))(rng, BLOCKS, towers=True)
    start = one_of(rng, ("the", "the", "one of the"))
    words = f"{start} tower with {exactly}{number(rng, high)} block{'s' * (high > 1)} has {more.words}"
    return _number_of(words, size.with_("", more), _some)


def _nth(rng: Random) -> Statement:
    """the second block from the base of a tower is black"""
    hue, (place, name) = colour(rng), one_of(rng, ((1, "second"), (1, "second"), (2, "third")))
    of = one_of(rng, ("from the base of a tower", "of a tower from the base", "of a tower"))
    return _number_of(f"the {name} block {of} is {hue}", at("", place, hue), _some)


def _coloured(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """there is a blue tower with only one block"""
    hue = colour(rng)
    clause = Clause("", hues_of, lambda box: hues_of(box) == hue)
    if rng.random() < 0.6:
        clause = clause.with_("with", sized(rng, BLOCKS, towers=True))
    return _number_of(f"there is a {hue} tower{clause.words}", clause, _some)


def _alike(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """the top of the three towers are not the same in color; there are two towers with the same base color"""
    end, place = one_of(rng, (("base", 0), ("top", -1)))
    words, suits = one_of(
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
        suits,
    )


def _in_all(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """there are exactly three black squares not touching any edge"""
    which = kind(rng, nouns, towers=towers)
    many = amount(rng, which.name, most=4, none=0.1)
    words = f"there {many.verb} {many.words}"
    if not towers and rng.random() < 0.7:
        where = touching(rng)
        which, words = which.that(where), f"{words} {where.name}"
        if rng.random() < 0.15:  # three triangles are not touching the wall
            words = f"{many.words} {many.verb} {where.name}"
    return _number_in_all(words, which, many.suits)


def _none_of(rng: Random, nouns: Nouns, *, towers: bool) -> Statement:
    """none of the blue circles are touching any edge"""
    which, where = kind(rng, nouns, towers=towers), touching(rng)
    words = f"none of the {plural(which.name)} are {where.name}"
    return _number_in_all(words, which.that(where), lambda n: n == 0)
