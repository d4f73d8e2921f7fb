"""Captions of the shapes world: every true one of a scene, and a parser. Knows no images."""

import re
from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

from unitok.worlds.shapes.world import (
    COLOURS,
    NUMBERS,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    Scene,
    SceneObject,
    is_placed,
    is_related,
    place_of,
)

_NAME = f"((?:{'|'.join(SIZES)}) (?:{'|'.join(COLOURS)}) (?:{'|'.join(SHAPES)}))"
_PLACE = "|".join(place for row in PLACES for place in row)
_GRAMMAR = (
    re.compile(f"a {_NAME}(?: at the (?P<place>{_PLACE}))?"),
    re.compile(f"a {_NAME} (?P<relation>{'|'.join(RELATIONS)}) a {_NAME}"),
    re.compile(f"a {_NAME}, a {_NAME} and a {_NAME}"),
)
_COUNTING = re.compile(f"({'|'.join(NUMBERS.values())}) {_NAME}s")


class Claim(NamedTuple):
    """The content of a caption: exactly these objects, by name, and possibly their place or relation."""

    names: tuple[str, ...]
    place: str | None = None
    relation: str | None = None


def captions(scene: Scene) -> list[str]:
    """Every true caption of a scene, the plainest first."""
    objects = scene.objects
    if len(objects) == 1:
        place = place_of(objects[0], scene.canvas)
        plain = f"a {objects[0].name}"
        return [plain] if place is None else [plain, f"{plain} at the {place}"]
    if len({item.name for item in objects}) == 1:
        return [f"{NUMBERS[len(objects)]} {objects[0].name}s"]
    if len(objects) == 2:
        return _relational(objects, scene.canvas)
    return [f"a {a.name}, a {b.name} and a {c.name}" for a, b, c in permutations(objects)]


def _relational(objects: Sequence[SceneObject], canvas: int) -> list[str]:
    return [
        f"a {a.name} {relation} a {b.name}"
        for a, b in permutations(objects)
        for relation in RELATIONS
        if is_related(a, b, relation, canvas)
    ]


def parse_caption(caption: str) -> Claim | None:
    """The claim of a caption, or None if it is not exactly a sentence of this world."""
    if counting := _COUNTING.fullmatch(caption):
        number = {word: n for n, word in NUMBERS.items()}[counting[1]]
        return Claim((counting[2],) * number)
    for pattern in _GRAMMAR:
        if match := pattern.fullmatch(caption):
            words = match.groupdict()
            names = tuple(g for i, g in enumerate(match.groups(), 1) if i not in pattern.groupindex.values())
            return Claim(names, words.get("place"), words.get("relation"))
    return None


def claim_holds(claim: Claim, objects: Sequence[SceneObject], canvas: int, *, tolerance: float = 0.0) -> bool:
    """Whether the objects are exactly those of a claim and satisfy its place or relation."""
    if sorted(claim.names) != sorted(item.name for item in objects):
        return False
    if claim.place:
        return is_placed(objects[0], claim.place, canvas, tolerance=tolerance)
    if claim.relation:
        return any(
            (a.name, b.name) == claim.names and is_related(a, b, claim.relation, canvas, tolerance=tolerance)
            for a, b in permutations(objects)
        )
    return True
