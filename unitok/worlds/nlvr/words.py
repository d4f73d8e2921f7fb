"""Phrases for counts and kinds of objects in grey boxes. Knows no box as a whole."""

import operator
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from unitok.worlds.nlvr.boxes import COLOURS, SHAPES, SIZES, Box, Item, in_order, is_tower
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
    """What a box and a thing in it are called."""

    place: str
    thing: str


class Kind(NamedTuple):
    """Which things, and how they are called."""

    name: str
    has: Callable[[Item], bool]

    def count(self, box: Box) -> int:
        """How many of them a box holds."""
        return sum(map(self.has, box))

    def told(self, box: Box) -> str:
        """How many of them a box holds; of things that lie anywhere first their sizes, "small large 2".

        Who names them one by one counts right far sooner than who says their number at once.
        """
        found = [item for item in box if self.has(item)]
        named = [] if is_tower(box) else [SIZES[item.size] for item in in_order(found)]
        return " ".join((*named, str(len(found))))

    def that(self, other: "Kind") -> "Kind":
        """Things of both kinds: blue circles touching the wall."""
        return Kind(f"{self.name} {other.name}", lambda item: self.has(item) and other.has(item))


class Amount(NamedTuple):
    """So many of a kind, in words, whether a verb of it is "is", and which numbers it means."""

    words: str
    single: bool
    suits: Callable[[int], bool]

    @property
    def verb(self) -> str:
        """is or are"""
        return "is" if self.single else "are"


def colour(rng: Random) -> str:
    """black, blue or yellow"""
    return one_of(rng, tuple(COLOURS))


def number(rng: Random, value: int) -> str:
    """In digits or as a word."""
    return one_of(rng, (str(value), NUMBERS[value]))


def plural(name: str) -> str:
    """blocks, boxes"""
    return f"{name}es" if name.endswith("x") else f"{name}s"


def amount(rng: Random, name: str, *, most: int, none: float = 0.0) -> Amount:
    """exactly two blue blocks; at least 1 circle; a square; with the chance `none`, no yellow item"""
    if rng.random() < none:
        return Amount(f"no {name}", True, lambda n: n == 0)
    how, value = one_of(rng, USUAL), 1 + int(rng.random() ** 1.5 * most)
    if not how and value == 1:
        words = one_of(rng, ("1", "one", "a", "a", "a"))
        return Amount(f"{words} {name}", True, (lambda n: n >= 1) if words == "a" else (lambda n: n == 1))
    value += how == "less than"
    words = f"{how} {number(rng, value)} {name if value == 1 else plural(name)}"
    if how == "at most" and rng.random() < 0.5:
        words = f"{words.removeprefix(how)} {how}"
    return Amount(words.strip(), value == 1, lambda n: AMOUNTS[how](n, value))


def kind(rng: Random, nouns: Nouns, *, towers: bool) -> Kind:
    """blue block; small black triangle; item"""
    hue = colour(rng) if rng.random() < 0.8 else None
    shape = one_of(rng, SHAPES) if not towers and rng.random() < 0.65 else None
    size = one_of(rng, tuple(SIZES)) if not towers and rng.random() < 0.04 else None
    named = (SIZES.get(size), hue, shape or nouns.thing)
    return Kind(
        " ".join(filter(None, named)),
        lambda item: hue in (None, item.colour) and shape in (None, item.shape) and size in (None, item.size),
    )


def touching(rng: Random) -> Kind:
    """touching the wall; not touching any edge; closely touching the bottom of a box"""
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
