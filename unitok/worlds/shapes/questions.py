"""Questions about scenes of the shapes world, with true answers. Knows no model.

A question is drawn for a scene by a generator of random numbers. Names are of shape and colour, and only
those that one object has alone. `looks` are the pairs of shape and colour that may be named though nothing
has them; of what a scene shows, held-out compositions come first where there are any.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from random import Random
from typing import NamedTuple

import numpy as np

from unitok.document import Segment
from unitok.modalities.geometry import Box, Point
from unitok.worlds.seeded import one_of
from unitok.worlds.shapes.pixels import coverage
from unitok.worlds.shapes.world import HELD_OUT, RELATIONS, SHAPES, Scene, SceneObject, related

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
Look = tuple[str, str]


class Asked(NamedTuple):
    """What follows the picture in a document: a question and its answer, about these objects.

    A segment of modality "image" holds a Scene, which is rendered when the document is made.
    """

    question: tuple[Segment, ...]
    answer: tuple[Segment, ...]
    about: tuple[SceneObject, ...] = ()


Ask = Callable[[Scene, Sequence[Look], Random], Asked | None]
"""Draws a question about a scene; None where it cannot be asked of this one."""


def text(question: str, answer: str, *about: SceneObject) -> Asked:
    """A question and an answer in words."""
    return Asked((Segment("text", question),), (Segment("text", answer),), about)


def ask_colour(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """what color is the circle?"""
    found = (item for item in scene.objects if _alone(item, scene, "shape"))
    return drawn(rng, [text(f"what color is the {item.shape}?", item.colour, item) for item in found])


def ask_shape(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """what shape is red?"""
    found = (item for item in scene.objects if _alone(item, scene, "colour"))
    return drawn(rng, [text(f"what shape is {item.colour}?", item.shape, item) for item in found])


def ask_count(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """how many circles are there? how many objects are there? Each answer that the scene has is equally
    likely."""
    options = [text("how many objects are there?", str(len(scene.objects)), *scene.objects)]
    for shape in SHAPES:
        found = [item for item in scene.objects if item.shape == shape]
        options.append(text(f"how many {shape}s are there?", str(len(found)), *found))
    return _balanced(rng, options)


def ask_exist(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """is there a red circle? Half the answers are no; half of these name a shape or colour that is there."""
    there = {look(item) for item in scene.objects}
    if rng.random() < 0.5:
        return drawn(rng, [text(_is_there(look(item)), "yes", item) for item in scene.objects])
    absent = [pair for pair in looks if pair not in there]
    absent = [pair for pair in absent if pair in HELD_OUT] or absent
    near = [pair for pair in absent if any(pair[0] == shape or pair[1] == colour for shape, colour in there)]
    options = near if near and rng.random() < 0.5 else absent
    return drawn(rng, [text(_is_there(pair), "no") for pair in options])


def _is_there(pair: Look) -> str:
    shape, colour = pair
    return f"is there {'an' if colour == 'orange' else 'a'} {colour} {shape}?"


def ask_relation(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """is the red circle left of the blue square? Half the answers are no: then the opposite is true."""
    options = []
    for a, b in ((a, b) for a in named(scene) for b in named(scene) if a is not b):
        for relation in (name for name in RELATIONS if related(a, b, name, scene.canvas)):
            for said, answer in ((relation, "yes"), (OPPOSITE[relation], "no")):
                options.append(text(f"is {the(a)} {said} {the(b)}?", answer, a, b))
    return _balanced(rng, options)


def ask_box(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """where is the red circle? The answer is its box."""
    return drawn(
        rng, [_place(f"where is {the(item)}?", box_of(item, scene.canvas), item) for item in named(scene)]
    )


def ask_point(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """point to the red circle: its origin."""
    options = [_place(f"point to {the(item)}", point_of(item, scene.canvas), item) for item in named(scene)]
    return drawn(rng, options)


def ask_name(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """what is here?, a box: the other direction. The answer is the words of a caption."""
    options = [
        Asked(
            (Segment("text", "what is here?"), Segment("box", box_of(item, scene.canvas))),
            (Segment("text", f"a {item.name}"),),
            (item,),
        )
        for item in scene.objects
    ]
    return drawn(rng, options)


def ask_pointing(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """count the circles by pointing: a point for each, from the top, then their number."""
    options = []
    for shape in dict.fromkeys(item.shape for item in scene.objects):
        found = sorted((i for i in scene.objects if i.shape == shape), key=lambda item: (item.y, item.x))
        points = [Segment("point", point_of(item, scene.canvas)) for item in found]
        question = (Segment("text", f"count the {shape}s by pointing"),)
        options.append(Asked(question, (*points, Segment("text", str(len(found)))), tuple(found)))
    return drawn(rng, options)


def _place(question: str, place: Box | Point, item: SceneObject) -> Asked:
    answer = Segment("box" if isinstance(place, Box) else "point", place)
    return Asked((Segment("text", question),), (answer,), (item,))


# ---- names and places


def look(item: SceneObject) -> Look:
    """Shape and colour, as SEEN and HELD_OUT list them."""
    return item.shape, item.colour


def the(item: SceneObject) -> str:
    """the red circle"""
    return f"the {item.colour} {item.shape}"


def named(scene: Scene) -> list[SceneObject]:
    """The objects that no other is like in shape and colour."""
    looks = [look(item) for item in scene.objects]
    return [item for item in scene.objects if looks.count(look(item)) == 1]


def _alone(item: SceneObject, scene: Scene, trait: str) -> bool:
    return sum(getattr(other, trait) == getattr(item, trait) for other in scene.objects) == 1


def point_of(item: SceneObject, canvas: int) -> Point:
    """A shape's origin."""
    return Point(item.x / canvas, item.y / canvas)


def box_of(item: SceneObject, canvas: int) -> Box:
    """The outer edges of the pixels that a shape covers, wholly or in part."""
    left, top, right, bottom = _extent(item.shape, item.size, canvas)
    edges = item.x + left, item.y + top, item.x + right, item.y + bottom
    return Box.of_pixels(edges, canvas, canvas)


@lru_cache(maxsize=64)
def _extent(shape: str, size: str, canvas: int) -> tuple[int, int, int, int]:
    """Edges of a shape's pixels, in pixels from its origin."""
    covered = coverage(shape, size, canvas) > 0
    half = len(covered) // 2
    columns, rows = np.flatnonzero(covered.any(axis=0)), np.flatnonzero(covered.any(axis=1))
    return int(columns[0]) - half, int(rows[0]) - half, int(columns[-1]) + 1 - half, int(rows[-1]) + 1 - half


# ---- drawing one


def drawn(rng: Random, options: Iterable[Asked]) -> Asked | None:
    """One of them, each equally likely; those about a held-out composition alone where there are any."""
    options = list(options)
    options = [asked for asked in options if any(item.held_out for item in asked.about)] or options
    return one_of(rng, options) if options else None


def _balanced(rng: Random, options: Sequence[Asked]) -> Asked | None:
    """One of them, each answer equally likely."""
    answers = list(dict.fromkeys(asked.answer for asked in options))
    if not answers:
        return None
    answer = one_of(rng, answers)
    return drawn(rng, [asked for asked in options if asked.answer == answer])
