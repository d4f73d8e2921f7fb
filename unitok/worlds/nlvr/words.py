"""Phrases for counts and kinds of objects in grey boxes. Knows no statements."""

import operator
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from unitok.worlds.nlvr.boxes import COLOURS, SHAPES, SIZES, GreyBox, Item, in_order, is_tower
from unitok.worlds.seeded import one_of

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
AMOUNTS: dict[str, Callable[[int, int], bool]] = {
    "": operator.eq,
    "exactly": operator.eq,
    "only": operator.eq,
    "at least": operator.ge,
    "atleast": operator.ge,
    "at most": operator.le,
    "more than": operator.gt,
    "less than": operator.lt,
}
USUAL = ("", "", "", "", "exactly", "exactly", "exactly", "only", "at least", "at least", "atleast",
         "at most", "more than", "less than")  # fmt: skip
WALLS = ("the wall", "the edge", "any edge", "an edge", "the side", "a wall of a box", "the side of the box")
SIDES: dict[str, tuple[str, ...]] = {
    "bottom": ("the base", "the bottom", "the bottom edge", "the bottom base", "the bottom of a box"),
    "right": ("right wall of a box", "the right wall"),
    "top": ("the roof of a box", "the top"),
}
CORNERS = ("a corner", "the corner", "a corner of a box")


class Nouns(NamedTuple):
    """The nouns for a box and for an object in it."""

    box: str
    item: str


class Kind(NamedTuple):
    """A kind of objects: its name and a predicate."""

    name: str
    matches: Callable[[Item], bool]

    def count(self, box: GreyBox) -> int:
        """The number of such objects in a box."""
        return sum(map(self.matches, box))

    def observe(self, box: GreyBox) -> str:
        """The number of such objects in a box, after the sizes of scattered objects, as in "small large 2".

        A model learns to count far sooner by naming objects one by one.
        """
        items = [item for item in box if self.matches(item)]
        sizes = [] if is_tower(box) else [SIZES[item.size] for item in in_order(items)]
        return " ".join((*sizes, str(len(items))))

    def both(self, other: "Kind") -> "Kind":
        """Objects of both kinds, such as blue circles touching the wall."""
        return Kind(f"{self.name} {other.name}", lambda item: self.matches(item) and other.matches(item))


class Amount(NamedTuple):
    """A number of objects in words, whether its verb is singular, and which numbers it allows."""

    words: str
    singular: bool
    allows: Callable[[int], bool]

    @property
    def verb(self) -> str:
        """The verb, "is" or "are"."""
        return "is" if self.singular else "are"


def colour(rng: Random) -> str:
    """Samples a colour's name."""
    return one_of(rng, tuple(COLOURS))


def number(rng: Random, value: int) -> str:
    """A number in digits or as a word."""
    return one_of(rng, (str(value), NUMBERS[value]))


def plural(name: str) -> str:
    """A noun's plural, such as "blocks" or "boxes"."""
    return f"{name}es" if name.endswith("x") else f"{name}s"


def amount(rng: Random, name: str, *, maximum: int, none: float = 0.0) -> Amount:
    """Samples an amount, such as "exactly two blue blocks", "at least 1 circle" or "a square"; with
    probability `none`, such as "no yellow item"."""
    if rng.random() < none:
        return Amount(f"no {name}", True, lambda n: n == 0)
    how, value = one_of(rng, USUAL), 1 + int(rng.random() ** 1.5 * maximum)
    if not how and value == 1:
        words = one_of(rng, ("1", "one", "a", "a", "a"))
        return Amount(f"{words} {name}", True, (lambda n: n >= 1) if words == "a" else (lambda n: n == 1))
    value += how == "less than"
    words = f"{how} {number(rng, value)} {name if value == 1 else plural(name)}"
    if how == "at most" and rng.random() < 0.5:
        words = f"{words.removeprefix(how)} {how}"
    return Amount(words.strip(), value == 1, lambda n: AMOUNTS[how](n, value))


def kind(rng: Random, nouns: Nouns, *, towers: bool) -> Kind:
    """Samples a kind, such as "blue block", "small black triangle" or "item"."""
    hue = colour(rng) if rng.random() < 0.8 else None
    shape = one_of(rng, SHAPES) if not towers and rng.random() < 0.65 else None
    size = one_of(rng, tuple(SIZES)) if not towers and rng.random() < 0.04 else None
    words = (SIZES.get(size), hue, shape or nouns.item)
    return Kind(
        " ".join(filter(None, words)),
        lambda item: hue in (None, item.colour) and shape in (None, item.shape) and size in (None, item.size),
    )


def touching(rng: Random) -> Kind:
    """Samples a relation to the box's sides, such as "touching the wall", "not touching any edge" or "closely
    touching the bottom of a box"."""
    where = one_of(rng, ("wall", "wall", "away", "side", "side", "corner"))
    touching = one_of(rng, ("touching", "touching", "closely touching"))
    if where == "wall":
        return Kind(f"{touching} {one_of(rng, WALLS)}", lambda item: bool(item.touching))
    if where == "away":
        return Kind(f"not touching {one_of(rng, WALLS)}", lambda item: not item.touching)
    if where == "corner":
        return Kind(f"{touching} {one_of(rng, CORNERS)}", lambda item: len(item.touching) > 1)
    side = one_of(rng, ("bottom", "bottom", "bottom", "bottom", "right", "right", "top"))
    return Kind(f"{touching} {one_of(rng, SIDES[side])}", lambda item: side in item.touching)
