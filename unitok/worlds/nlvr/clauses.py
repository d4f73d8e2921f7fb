"""Clauses about one box: words, and the predicate they stand for. Knows no quantity of boxes."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import NamedTuple

from unitok.worlds.nlvr.boxes import COLOURS, HIGHEST, MOST, Box
from unitok.worlds.nlvr.words import Kind, Nouns, amount, colour, kind, number, plural, touching
from unitok.worlds.seeded import one_of

VERDICTS = ("yes", "no")
OVER = ("above", "over", "on", "on", "on top of")
UNDER = ("below", "under", "beneath")


class Clause(NamedTuple):
    """What a box may have, what is seen of it in a box, and whether it has."""

    words: str
    seen: Callable[[Box], str]
    of: Callable[[Box], bool]

    def told(self, box: Box) -> str:
        """What is seen, and then whether that is it: "3 yes", "yellow no"."""
        return f"{self.seen(box)} {verdict(self.of(box))}"

    def with_(self, join: str, other: "Clause") -> "Clause":
        """Both of them."""
        return Clause(
            f"{self.words} {join} {other.words}",
            lambda box: f"{self.told(box)} {other.told(box)}",
            lambda box: self.of(box) and other.of(box),
        )


def verdict(holds: bool) -> str:
    """yes or no"""
    return VERDICTS[not holds]


def draw_clause(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """What a tower, or a box of things that lie anywhere, may have."""
    if towers:
        forms = (has, ends, ends, ends, over, sized, sized_and, sized_and, hued, stacked, of_which, both,
                 placed, piled)  # fmt: skip
        return one_of(rng, forms)(rng, nouns, towers=True)
    forms = (has, has, sized, hued, of_which, both, both, touched, sized_and)
    return one_of(rng, forms)(rng, nouns, towers=False)


def has(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """exactly two blue blocks"""
    which = kind(rng, nouns, towers=towers)
    many = amount(rng, which.name, most=3)
    return Clause(many.words, which.told, lambda box: many.suits(which.count(box)))


def both(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """a black square and two blue circles"""
    return has(rng, nouns, towers=towers).with_("and", has(rng, nouns, towers=towers))


def touched(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """a yellow square touching the wall"""
    which = kind(rng, nouns, towers=towers).that(touching(rng))
    return Clause(f"a {which.name}", which.told, lambda box: which.count(box) > 0)


def sized(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """exactly three blocks"""
    many = amount(rng, nouns.thing, most=HIGHEST if towers else MOST)
    return Clause(many.words, lambda box: str(len(box)), lambda box: many.suits(len(box)))


def ends(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """a blue block at the base; a yellow top; a black block in the middle"""
    hue, thing, a = colour(rng), nouns.thing, one_of(rng, ("a ", "a ", "a ", "", "1 "))
    if rng.random() < 0.1:
        return Clause(
            f"{a}{hue} {thing} in the middle",
            lambda box: _colours(box[1:-1]),
            lambda box: any(item.colour == hue for item in box[1:-1]),
        )
    place, names = one_of(rng, ((-1, ("top",)), (0, ("base", "base", "bottom"))))
    end, by = one_of(rng, names), one_of(rng, ("at the", "at the", "at"))
    alone = "on top" if place else "touching the wall"
    words = one_of(rng, (f"{a}{hue} {thing} {by} {end}", f"{a}{hue} {thing} {by} {end}",
                         f"{a}{hue} {end}", f"{a}{hue} {thing} {alone}"))  # fmt: skip
    return at(words, place, hue)


def at(words: str, place: int, hue: str) -> Clause:
    """A colour at a place: 0 is the base, 1 the second, -1 the top; its colour is seen, or nothing."""
    return Clause(words, lambda box: _colour_at(box, place), lambda box: _colour_at(box, place) == hue)


def _colour_at(box: Box, place: int) -> str:
    return box[place].colour if -len(box) <= place < len(box) else "nothing"


def placed(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """a blue block below the top block; a yellow second block; a black block as the third block"""
    hue, thing = colour(rng), nouns.thing
    place, name = one_of(rng, ((-2, ""), (1, "second"), (1, "second"), (2, "third")))
    words = f"a {hue} {thing} below the top {thing}"
    if name:
        words = one_of(rng, (f"a {hue} {name} {thing}", f"a {hue} {thing} as the {name} {thing}",
                             f"a {hue} {thing} at the {name} place from the bottom"))  # fmt: skip
    return at(words, place, hue)


def piled(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """a blue item touching the wall and a black one on top of it; a black item on top, a blue beneath it"""
    first, second = colour(rng), colour(rng)
    one, right = one_of(rng, (nouns.thing, "one")), one_of(rng, ("", "", "right "))
    wall, top = (
        f"touching the wall and a {second} {one} {right}on top of it",
        f"on top and a {second} {one} {right}beneath it",
    )
    (here, there), words = one_of(rng, (((0, 1), wall), ((-1, -2), top)))
    end, next_ = at("", here, first), at("", there, second)
    return Clause(
        f"a {first} {nouns.thing} {words}",
        lambda box: f"{end.seen(box)} {next_.seen(box)}",
        lambda box: end.of(box) and next_.of(box),
    )


def over(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """a blue block over a black block; a black block below a blue block"""
    high, low = colour(rng), colour(rng)
    first, word, second = (high, one_of(rng, OVER), low)
    if rng.random() < 0.25:
        first, word, second = low, one_of(rng, UNDER), high
    a = one_of(rng, ("a", "a", "a", "the"))
    return _lying(f"a {first} {nouns.thing} {word} {a} {second} {nouns.thing}", high, low)


def stacked(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """2 blue blocks stacked together"""
    hue, least = colour(rng), one_of(rng, ("", "", "at least "))
    how = one_of(rng, ("stacked together", "stacked together", "attached with each other"))
    return _lying(f"{least}{number(rng, 2)} {hue} {plural(nouns.thing)} {how}", hue, hue)


def _lying(words: str, high: str, low: str) -> Clause:
    """Something of one colour right on something of another; what lies on that is seen."""
    return Clause(
        words, lambda box: _colours(_on(box, low)), lambda box: high in {i.colour for i in _on(box, low)}
    )


def _on(box: Box, low: str) -> Box:
    """The blocks right on those of a colour."""
    return tuple(b for a, b in pairwise(box) if a.colour == low)


def _colours(items: Box) -> str:
    return " ".join(item.colour for item in items) or "nothing"


def sized_and(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """three blocks having a black block at the top"""
    join = one_of(rng, ("having", "having", "with", "and"))
    more = one_of(rng, (ends, ends, ends, over, has) if towers else (has, touched))(rng, nouns, towers=towers)
    return sized(rng, nouns, towers=towers).with_(join, more)


def hued(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """only blue and black blocks; 3 items of two different colors; blocks of all three colors"""
    form = one_of(rng, (_hues, _hues, _hue_count, _hue_count))
    return form(rng, nouns, towers=towers)


def _hues(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    chosen = sorted(COLOURS, key=lambda _: rng.random())[: one_of(rng, (1, 2, 2))]
    said, things = " and ".join(chosen), plural(nouns.thing)
    words = one_of(
        rng, (f"only {said} {things}", f"{things} of only {said} color", f"only {said} {things} in it")
    )
    return Clause(words, hues_of, lambda box: {item.colour for item in box} == {*chosen})


def hues_of(box: Box) -> str:
    """The colours of a box, each once, by the alphabet."""
    return " ".join(sorted({item.colour for item in box}))


HUES = {
    1: ("of the same color", "of only one color", "of one color", "of the same colour"),
    2: ("of two different colors", "of 2 different colors", "of only two colors"),
    3: (
        "of all three colors",
        "of all 3 different colors",
        "of three different colors",
        "of 3 different colors",
    ),
}


def _hue_count(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    value = one_of(rng, tuple(HUES))
    hues = Clause(one_of(rng, HUES[value]), hues_of, lambda box: len({item.colour for item in box}) == value)
    if rng.random() < 0.5:
        return hues._replace(words=f"{one_of(rng, ('', 'the '))}{plural(nouns.thing)} {hues.words}")
    size = sized(rng, nouns, towers=towers)
    joined = size.with_("", hues)
    return joined._replace(words=f"{size.words} {hues.words}")


def of_which(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """3 items of which 2 are yellow; two objects one of which is a circle"""
    value, hue = one_of(rng, (1, 1, 2, 2, 3)), colour(rng)
    which, be = Kind(hue, lambda item: item.colour == hue), f"{'is' if value == 1 else 'are'} "
    if not towers and rng.random() < 0.4:
        which = kind(rng, nouns, towers=False)
        be += "a " if value == 1 else ""
    least = value == 1 or rng.random() < 0.2  # "one is blue" does not say that no other is
    said = f"{number(rng, value)} {be}{which.name if value == 1 or which.name == hue else plural(which.name)}"
    if least and value > 1:
        said = f"at least {said}"
    part = Clause(
        said,
        which.told,
        lambda box: which.count(box) >= value if least else which.count(box) == value,
    )
    if value == 1 and rng.random() < 0.3:
        return sized(rng, nouns, towers=towers).with_(
            "one of which", part._replace(words=f"{be}{which.name}")
        )
    return sized(rng, nouns, towers=towers).with_("of which", part)
