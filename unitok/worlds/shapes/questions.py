"""Questions about scenes of the shapes world, with true answers. Knows no model.

Each function samples a question about a scene, or returns None if the scene allows none. Objects are named by
shape and colour, if the name is unique in the scene. `looks` are the pairs of shape and colour that may be
named even if absent; among the objects of a scene, held-out compositions are preferred.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import permutations
from random import Random
from typing import NamedTuple

import numpy as np

from unitok.document import Segment
from unitok.modalities.geometry import Box, Point
from unitok.worlds.seeded import one_of
from unitok.worlds.shapes.pixels import coverage
from unitok.worlds.shapes.world import HELD_OUT, RELATIONS, SHAPES, Scene, SceneObject, is_related

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
Look = tuple[str, str]


class QuestionAnswer(NamedTuple):
    """A question, its answer, and the objects it is about.

    A segment of modality "image" holds a Scene, which is rendered when the document is built.
    """

    question: tuple[Segment, ...]
    answer: tuple[Segment, ...]
    about: tuple[SceneObject, ...] = ()


def text_answer(question: str, answer: str, *about: SceneObject) -> QuestionAnswer:
    """A question with an answer in words."""
    return QuestionAnswer((Segment("text", question),), (Segment("text", answer),), about)


def ask_colour(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "what color is the circle?"."""
    items = (item for item in scene.objects if _is_unique(item, scene, "shape"))
    return choose(rng, [text_answer(f"what color is the {item.shape}?", item.colour, item) for item in items])


def ask_shape(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "what shape is red?"."""
    items = (item for item in scene.objects if _is_unique(item, scene, "colour"))
    return choose(rng, [text_answer(f"what shape is {item.colour}?", item.shape, item) for item in items])


def ask_count(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "how many circles are there?" or "how many objects are there?". All answers that the scene
    allows are equally likely."""
    options = [text_answer("how many objects are there?", str(len(scene.objects)), *scene.objects)]
    for shape in SHAPES:
        items = [item for item in scene.objects if item.shape == shape]
        options.append(text_answer(f"how many {shape}s are there?", str(len(items)), *items))
    return _choose_balanced(rng, options)


def ask_exist(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "is there a red circle?". Half the answers are no; half of these name a shape or colour of an
    object in the scene."""
    present = {look(item) for item in scene.objects}
    if rng.random() < 0.5:
        return choose(rng, [text_answer(_is_there(look(item)), "yes", item) for item in scene.objects])
    absent = [pair for pair in looks if pair not in present]
    absent = [pair for pair in absent if pair in HELD_OUT] or absent
    near = [pair for pair in absent if any(pair[0] == s or pair[1] == c for s, c in present)]
    options = near if near and rng.random() < 0.5 else absent
    return choose(rng, [text_answer(_is_there(pair), "no") for pair in options])


def _is_there(pair: Look) -> str:
    shape, colour = pair
    return f"is there {'an' if colour == 'orange' else 'a'} {colour} {shape}?"


def ask_relation(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "is the red circle left of the blue square?"; half the answers are no: the opposite holds."""
    options = []
    for a, b in permutations(uniquely_named(scene), 2):
        for relation in (name for name in RELATIONS if is_related(a, b, name, scene.canvas)):
            for words, answer in ((relation, "yes"), (OPPOSITE[relation], "no")):
                options.append(text_answer(f"is {name_of(a)} {words} {name_of(b)}?", answer, a, b))
    return _choose_balanced(rng, options)


def ask_box(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "where is the red circle?", answered by its box."""
    return choose(
        rng,
        [
            _location_answer(f"where is {name_of(item)}?", box_of(item, scene.canvas), item)
            for item in uniquely_named(scene)
        ],
    )


def ask_point(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "point to the red circle", answered by its origin."""
    return choose(
        rng,
        [
            _location_answer(f"point to {name_of(item)}", point_of(item, scene.canvas), item)
            for item in uniquely_named(scene)
        ],
    )


def ask_name(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """The question "what is here?" with a box, answered in the words of a caption."""
    options = [
        QuestionAnswer(
            (Segment("text", "what is here?"), Segment("box", box_of(item, scene.canvas))),
            (Segment("text", f"a {item.name}"),),
            (item,),
        )
        for item in scene.objects
    ]
    return choose(rng, options)


def ask_pointing(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "count the circles by pointing", answered by points, from the top, and their number."""
    options = []
    for shape in dict.fromkeys(item.shape for item in scene.objects):
        items = sorted((i for i in scene.objects if i.shape == shape), key=lambda item: (item.y, item.x))
        points = [Segment("point", point_of(item, scene.canvas)) for item in items]
        question = (Segment("text", f"count the {shape}s by pointing"),)
        options.append(QuestionAnswer(question, (*points, Segment("text", str(len(items)))), tuple(items)))
    return choose(rng, options)


def _location_answer(question: str, location: Box | Point, item: SceneObject) -> QuestionAnswer:
    answer = Segment("box" if isinstance(location, Box) else "point", location)
    return QuestionAnswer((Segment("text", question),), (answer,), (item,))


# ---- names and places


def look(item: SceneObject) -> Look:
    """Shape and colour, as in SEEN and HELD_OUT."""
    return item.shape, item.colour


def name_of(item: SceneObject) -> str:
    """Such as "the red circle"."""
    return f"the {item.colour} {item.shape}"


def uniquely_named(scene: Scene) -> list[SceneObject]:
    """The objects that share shape and colour with no other."""
    looks = [look(item) for item in scene.objects]
    return [item for item in scene.objects if looks.count(look(item)) == 1]


def _is_unique(item: SceneObject, scene: Scene, trait: str) -> bool:
    return sum(getattr(other, trait) == getattr(item, trait) for other in scene.objects) == 1


def point_of(item: SceneObject, canvas: int) -> Point:
    """A shape's origin."""
    return Point(item.x / canvas, item.y / canvas)


def box_of(item: SceneObject, canvas: int) -> Box:
    """The outer edges of the pixels that a shape covers, fully or partly."""
    left, top, right, bottom = _extent(item.shape, item.size, canvas)
    edges = item.x + left, item.y + top, item.x + right, item.y + bottom
    return Box.of_pixels(edges, canvas, canvas)


@lru_cache(maxsize=64)
def _extent(shape: str, size: str, canvas: int) -> tuple[int, int, int, int]:
    """Edges of a shape's pixels, relative to its origin."""
    mask = coverage(shape, size, canvas) > 0
    half = len(mask) // 2
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]) - half, int(rows[0]) - half, int(columns[-1]) + 1 - half, int(rows[-1]) + 1 - half


# ---- choosing one


def choose(rng: Random, options: Iterable[QuestionAnswer]) -> QuestionAnswer | None:
    """Samples an option uniformly, from those about a held-out composition if there are any."""
    options = list(options)
    options = [option for option in options if any(item.held_out for item in option.about)] or options
    return one_of(rng, options) if options else None


def _choose_balanced(rng: Random, options: Sequence[QuestionAnswer]) -> QuestionAnswer | None:
    """Samples an option such that each answer is equally likely."""
    answers = list(dict.fromkeys(option.answer for option in options))
    if not answers:
        return None
    answer = one_of(rng, answers)
    return choose(rng, [option for option in options if option.answer == answer])
