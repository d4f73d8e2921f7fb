"""Clauses about one box: words, and the predicate they mean. Knows no quantifiers over boxes."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import NamedTuple

from unitok.worlds.nlvr.boxes import COLOURS, MAX_HEIGHT, MAX_ITEMS, GreyBox
from unitok.worlds.nlvr.words import Kind, Nouns, amount, colour, kind, number, plural, touching
from unitok.worlds.seeded import one_of

VERDICTS = ("yes", "no")
OVER = ("above", "over", "on", "on", "on top of")
UNDER = ("below", "under", "beneath")


class Clause(NamedTuple):
    """A property of a box in words, the observation that decides it, and whether it holds."""

    words: str
    observe: Callable[[GreyBox], str]
    holds: Callable[[GreyBox], bool]

    def reason(self, box: GreyBox) -> str:
        """The observation and the verdict, such as "3 yes" or "yellow no"."""
        return f"{self.observe(box)} {verdict(self.holds(box))}"

    def join(self, conjunction: str, other: "Clause") -> "Clause":
        """The conjunction of two clauses."""
        return Clause(
            f"{self.words} {conjunction} {other.words}",
            lambda box: f"{self.reason(box)} {other.reason(box)}",
            lambda box: self.holds(box) and other.holds(box),
        )


def verdict(holds: bool) -> str:
    """The word for a verdict, "yes" or "no"."""
    return VERDICTS[not holds]


def sample_clause(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Samples a clause about a tower or about scattered objects."""
    if towers:
        forms = (has, end_colour, end_colour, end_colour, over, size, size_and, size_and, colours, stack,
                 of_which, both, block_at, two_blocks)  # fmt: skip
        return one_of(rng, forms)(rng, nouns, towers=True)
    forms = (has, has, size, colours, of_which, both, both, touching_item, size_and)
    return one_of(rng, forms)(rng, nouns, towers=False)


def has(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "exactly two blue blocks"."""
    which = kind(rng, nouns, towers=towers)
    number_of = amount(rng, which.name, maximum=3)
    return Clause(number_of.words, which.observe, lambda box: number_of.allows(which.count(box)))


def both(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "a black square and two blue circles"."""
    return has(rng, nouns, towers=towers).join("and", has(rng, nouns, towers=towers))


def touching_item(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "a yellow square touching the wall"."""
    which = kind(rng, nouns, towers=towers).both(touching(rng))
    return Clause(f"a {which.name}", which.observe, lambda box: which.count(box) > 0)


def size(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "exactly three blocks"."""
    number_of = amount(rng, nouns.item, maximum=MAX_HEIGHT if towers else MAX_ITEMS)
    return Clause(number_of.words, lambda box: str(len(box)), lambda box: number_of.allows(len(box)))


def end_colour(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "a blue block at the base", "a yellow top" or "a black block in the middle"."""
    hue, thing, a = colour(rng), nouns.item, one_of(rng, ("a ", "a ", "a ", "", "1 "))
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
    """The clause that a block has a colour: place 0 is the base, 1 the second block, -1 the top."""
    return Clause(words, lambda box: _colour_at(box, place), lambda box: _colour_at(box, place) == hue)


def _colour_at(box: GreyBox, place: int) -> str:
    return box[place].colour if -len(box) <= place < len(box) else "nothing"


def block_at(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "a blue block below the top block" or "a yellow second block"."""
    hue, thing = colour(rng), nouns.item
    place, name = one_of(rng, ((-2, ""), (1, "second"), (1, "second"), (2, "third")))
    words = f"a {hue} {thing} below the top {thing}"
    if name:
        words = one_of(rng, (f"a {hue} {name} {thing}", f"a {hue} {thing} as the {name} {thing}",
                             f"a {hue} {thing} at the {name} place from the bottom"))  # fmt: skip
    return at(words, place, hue)


def two_blocks(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "a blue item touching the wall and a black one on top of it"."""
    first, second = colour(rng), colour(rng)
    one, right = one_of(rng, (nouns.item, "one")), one_of(rng, ("", "", "right "))
    wall, top = (
        f"touching the wall and a {second} {one} {right}on top of it",
        f"on top and a {second} {one} {right}beneath it",
    )
    (here, there), words = one_of(rng, (((0, 1), wall), ((-1, -2), top)))
    end, next_ = at("", here, first), at("", there, second)
    return Clause(
        f"a {first} {nouns.item} {words}",
        lambda box: f"{end.observe(box)} {next_.observe(box)}",
        lambda box: end.holds(box) and next_.holds(box),
    )


def over(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "a blue block over a black block" or "a black block below a blue block"."""
    high, low = colour(rng), colour(rng)
    first, word, second = (high, one_of(rng, OVER), low)
    if rng.random() < 0.25:
        first, word, second = low, one_of(rng, UNDER), high
    a = one_of(rng, ("a", "a", "a", "the"))
    return _on_top(f"a {first} {nouns.item} {word} {a} {second} {nouns.item}", high, low)


def stack(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "2 blue blocks stacked together"."""
    hue, least = colour(rng), one_of(rng, ("", "", "at least "))
    how = one_of(rng, ("stacked together", "stacked together", "attached with each other"))
    return _on_top(f"{least}{number(rng, 2)} {hue} {plural(nouns.item)} {how}", hue, hue)


def _on_top(words: str, high: str, low: str) -> Clause:
    """The clause that a block of one colour lies directly on one of another."""
    return Clause(
        words, lambda box: _colours(_on(box, low)), lambda box: high in {i.colour for i in _on(box, low)}
    )


def _on(box: GreyBox, low: str) -> GreyBox:
    """The blocks directly on those of a colour."""
    return tuple(b for a, b in pairwise(box) if a.colour == low)


def _colours(items: GreyBox) -> str:
    return " ".join(item.colour for item in items) or "nothing"


def size_and(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "three blocks having a black block at the top"."""
    conjunction = one_of(rng, ("having", "having", "with", "and"))
    forms = (end_colour, end_colour, end_colour, over, has) if towers else (has, touching_item)
    more = one_of(rng, forms)(rng, nouns, towers=towers)
    return size(rng, nouns, towers=towers).join(conjunction, more)


def colours(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "only blue and black blocks" or "3 items of two different colors"."""
    form = one_of(rng, (_exact_colours, _exact_colours, _colour_count, _colour_count))
    return form(rng, nouns, towers=towers)


def _exact_colours(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    chosen = sorted(COLOURS, key=lambda _: rng.random())[: one_of(rng, (1, 2, 2))]
    names, things = " and ".join(chosen), plural(nouns.item)
    words = one_of(
        rng, (f"only {names} {things}", f"{things} of only {names} color", f"only {names} {things} in it")
    )
    return Clause(words, colours_of, lambda box: {item.colour for item in box} == {*chosen})


def colours_of(box: GreyBox) -> str:
    """The distinct colours in a box, in alphabetical order."""
    return " ".join(sorted({item.colour for item in box}))


COLOUR_COUNTS = {
    1: ("of the same color", "of only one color", "of one color", "of the same colour"),
    2: ("of two different colors", "of 2 different colors", "of only two colors"),
    3: (
        "of all three colors",
        "of all 3 different colors",
        "of three different colors",
        "of 3 different colors",
    ),
}


def _colour_count(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    value = one_of(rng, tuple(COLOUR_COUNTS))
    words = one_of(rng, COLOUR_COUNTS[value])
    clause = Clause(words, colours_of, lambda box: len({item.colour for item in box}) == value)
    if rng.random() < 0.5:
        return clause._replace(words=f"{one_of(rng, ('', 'the '))}{plural(nouns.item)} {words}")
    number_of = size(rng, nouns, towers=towers)
    return number_of.join("", clause)._replace(words=f"{number_of.words} {words}")


def of_which(rng: Random, nouns: Nouns, *, towers: bool) -> Clause:
    """Such as "3 items of which 2 are yellow" or "two objects one of which is a circle"."""
    value, hue = one_of(rng, (1, 1, 2, 2, 3)), colour(rng)
    which, be = Kind(hue, lambda item: item.colour == hue), f"{'is' if value == 1 else 'are'} "
    if not towers and rng.random() < 0.4:
        which = kind(rng, nouns, towers=False)
        be += "a " if value == 1 else ""
    at_least = value == 1 or rng.random() < 0.2  # "one is blue" does not exclude others
    name = which.name if value == 1 or which.name == hue else plural(which.name)
    words = f"{number(rng, value)} {be}{name}"
    if at_least and value > 1:
        words = f"at least {words}"
    part = Clause(
        words,
        which.observe,
        lambda box: which.count(box) >= value if at_least else which.count(box) == value,
    )
    if value == 1 and rng.random() < 0.3:
        part = part._replace(words=f"{be}{which.name}")
        return size(rng, nouns, towers=towers).join("one of which", part)
    return size(rng, nouns, towers=towers).join("of which", part)
