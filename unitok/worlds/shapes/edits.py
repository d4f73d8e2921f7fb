"""Edits of scenes: an instruction, and the scene after it. Knows no pixels.

An edit changes only the object that the instruction names. It creates only compositions among `looks`.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from unitok.document import Segment
from unitok.worlds.shapes.questions import (
    Look,
    QuestionAnswer,
    choose,
    look,
    name_of,
    uniquely_named,
)
from unitok.worlds.shapes.world import COLOURS, GAP, PLACES, SIZES, Scene, SceneObject, place_of

MAX_OBJECTS = 3  # of a scene
TRIES = 40  # random centres for a new object


def edit_colour(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "make the red circle blue"."""
    options = []
    for item in uniquely_named(scene):
        for colour in COLOURS:
            changed = replace(item, colour=colour)
            if look(changed) in looks and all(look(changed) != look(other) for other in scene.objects):
                options.append(_change(f"make {name_of(item)} {colour}", scene, item, changed))
    return choose(rng, options)


def edit_size(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "make the red circle large"."""
    options = []
    for item in uniquely_named(scene):
        size = next(name for name in SIZES if name != item.size)
        changed = replace(item, size=size)
        if fits(changed, [other for other in scene.objects if other is not item], scene.canvas):
            options.append(_change(f"make {name_of(item)} {size}", scene, item, changed))
    return choose(rng, options)


def edit_remove(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "remove the red circle"."""
    if len(scene.objects) < 2:
        return None
    return choose(
        rng, [_change(f"remove {name_of(item)}", scene, item, None) for item in uniquely_named(scene)]
    )


def edit_add(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "add a small green star at the top left"."""
    new = [pair for pair in looks if all(pair != look(item) for item in scene.objects)]
    if len(scene.objects) >= MAX_OBJECTS or not new:
        return None
    shape, colour = new[int(rng.random() * len(new))]
    size = tuple(SIZES)[int(rng.random() * len(SIZES))]
    places = [place for row in PLACES for place in row]
    place = places[int(rng.random() * len(places))]
    for _ in range(TRIES):
        x, y = (float(int(rng.random() * scene.canvas)) for _ in range(2))
        item = SceneObject(shape, colour, size, x, y)
        if place_of(item, scene.canvas) == place and fits(item, scene.objects, scene.canvas):
            after = Scene((*scene.objects, item), scene.canvas)
            return _instruction(f"add a {item.name} at the {place}", after, item)
    return None


def fits(item: SceneObject, others: Sequence[SceneObject], canvas: int) -> bool:
    """Whether an object lies inside the canvas and keeps its distance from the others."""
    scale = canvas / 64
    radius, gap = SIZES[item.size] * scale, max(GAP, GAP * scale)
    inside = all(radius <= value <= canvas - radius for value in (item.x, item.y))
    return inside and all(
        max(abs(item.x - other.x), abs(item.y - other.y)) >= radius + SIZES[other.size] * scale + gap
        for other in others
    )


def _change(instruction: str, scene: Scene, item: SceneObject, changed: SceneObject | None) -> QuestionAnswer:
    """The edit that replaces an object by `changed`, or removes it."""
    objects = [changed if other is item else other for other in scene.objects]
    after = Scene(tuple(other for other in objects if other is not None), scene.canvas)
    return _instruction(instruction, after, item, *([changed] if changed else []))


def _instruction(instruction: str, after: Scene, *about: SceneObject) -> QuestionAnswer:
    return QuestionAnswer((Segment("text", instruction),), (Segment("image", after),), about)
