"""True or false statements about one scene, and multiple-choice questions. Knows no model and no pixels.

A statement is put to a scene only where one of its form is true and one is false; then a coin decides. So its
form and its numbers tell little of the answer, and the picture tells it.
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import NamedTuple

from unitok.worlds.seeded import one_of
from unitok.worlds.shapes.questions import OPPOSITE, Asked, Look, drawn, look, named, text, the
from unitok.worlds.shapes.world import COLOURS, NUMBERS, RELATIONS, SHAPES, Scene, SceneObject, related

COUNTS = (1, 2, 3)
HOLDS: dict[str, Callable[[int, int], bool]] = {
    "": int.__eq__,
    "exactly ": int.__eq__,
    "at least ": int.__ge__,
    "at most ": int.__le__,
}
MOST_CHOICES = 4


class Claimed(NamedTuple):
    """A statement, whether it is true, and the objects that it is about."""

    words: str
    holds: bool
    about: tuple[SceneObject, ...] = ()


class Subject(NamedTuple):
    """What statements count: all objects, or those of a shape, of a colour or of both."""

    shape: str | None = None
    colour: str | None = None

    @property
    def name(self) -> str:
        """red circle, circle, red object or object"""
        return f"{self.colour or ''} {self.shape or 'object'}".strip()

    @property
    def one(self) -> str:
        """The name with its article."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"

    def number(self, count: int, rng: Random) -> str:
        """So many of them, in digits or in words."""
        words = one_of(rng, (str(count), ({1: "one"} | NUMBERS).get(count, str(count))))
        return f"{words} {self.name}{'' if count == 1 else 's'}"

    def of(self, scene: Scene) -> tuple[SceneObject, ...]:
        """Those objects of a scene."""
        return tuple(
            item
            for item in scene.objects
            if self.shape in (None, item.shape) and self.colour in (None, item.colour)
        )


def shapes_and_colours() -> list[Subject]:
    """The subjects of one trait."""
    return [*(Subject(shape=s) for s in SHAPES), *(Subject(colour=c) for c in COLOURS)]


def subjects(*scenes: Scene) -> list[Subject]:
    """All objects, and of each trait and look those that a scene shows."""
    items = [item for scene in scenes for item in scene.objects]
    looks = dict.fromkeys(Subject(*look(item)) for item in items)
    return [Subject(), *(one for one in shapes_and_colours() if any(map(one.of, scenes))), *looks]


def decided(rng: Random, options: Iterable[Claimed]) -> Asked | None:
    """A true one or a false one by a coin; None where there are not both."""
    options, truth = list(options), rng.random() < 0.5
    if len({option.holds for option in options}) < 2:
        return None
    verdict = "true" if truth else "false"
    return drawn(rng, [text(o.words, verdict, *o.about) for o in options if o.holds == truth])


# ---- one scene


def ask_statement(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """A statement about a scene, of one of five forms."""
    return one_of(rng, (_exists, _counted, _described, _related, _compared))(scene, looks, rng)


def _exists(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """there is a red circle; there is no star. What is not there has a trait of what is, where it has two."""
    there = subjects(scene)
    near = [Subject(*pair) for pair in looks if any(s in pair for item in scene.objects for s in look(item))]
    level = one_of(rng, ([Subject(shape=s) for s in SHAPES], [Subject(colour=c) for c in COLOURS], near))
    no = rng.random() < 0.5
    return decided(
        rng,
        [
            Claimed(f"there is {f'no {one.name}' if no else one.one}", (one in there) != no, one.of(scene))
            for one in level
        ],
    )


def _counted(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """there are exactly two circles; there is at least one red object"""
    many, count = one_of(rng, tuple(HOLDS)), one_of(rng, COUNTS)
    verb = "there is" if count == 1 else "there are"
    return decided(
        rng,
        [
            Claimed(f"{verb} {many}{one.number(count, rng)}", HOLDS[many](len(found), count), found)
            for one in dict.fromkeys([*subjects(scene), *shapes_and_colours()])
            for found in [one.of(scene)]
        ],
    )


def _described(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """the circle left of the blue square is red. No other circle is there but perhaps the square itself."""
    options = []
    for b in named(scene):
        for a in (item for item in scene.objects if item is not b):
            if sum(item.shape == a.shape for item in scene.objects if item is not b) > 1:
                continue
            for relation in (name for name in RELATIONS if related(a, b, name, scene.canvas)):
                said = [colour for shape, colour in looks if shape == a.shape]
                for colour in dict.fromkeys([a.colour, *said]):
                    words = f"the {a.shape} {relation} {the(b)} is {colour}"
                    options.append(Claimed(words, colour == a.colour, (a, b)))
    return decided(rng, options)


def _related(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """the red circle is left of the blue square; or the opposite of what is true."""
    options = []
    for a, b in ((a, b) for a in named(scene) for b in named(scene) if a is not b):
        for relation in (name for name in RELATIONS if related(a, b, name, scene.canvas)):
            for said, holds in ((relation, True), (OPPOSITE[relation], False)):
                options.append(Claimed(f"{the(a)} is {said} {the(b)}", holds, (a, b)))
    return decided(rng, options)


def _compared(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """there are more circles than squares; there are fewer red objects than blue objects"""
    level = one_of(rng, ([Subject(shape=s) for s in SHAPES], [Subject(colour=c) for c in COLOURS]))
    options, more = [], rng.random() < 0.5
    for a, b in ((a, b) for a in level for b in level):
        difference = len(a.of(scene)) - len(b.of(scene))
        if difference:
            words = f"there are {'more' if more else 'fewer'} {a.name}s than {b.name}s"
            options.append(Claimed(words, (difference > 0) == more, (*a.of(scene), *b.of(scene))))
    return decided(rng, options)


# ---- choices


def ask_choice(scene: Scene, looks: Sequence[Look], rng: Random) -> Asked | None:
    """what color is the circle? red, blue, green or gray? The order of the choices is a draw too."""
    options = []
    for item in scene.objects:
        if len(Subject(shape=item.shape).of(scene)) == 1:
            others = [colour for shape, colour in looks if shape == item.shape and colour != item.colour]
            options.append(_choice(f"what color is the {item.shape}?", item.colour, others, item, rng))
        if len(Subject(colour=item.colour).of(scene)) == 1:
            others = [shape for shape, colour in looks if colour == item.colour and shape != item.shape]
            options.append(_choice(f"what shape is {item.colour}?", item.shape, others, item, rng))
    return drawn(rng, options)


def _choice(question: str, answer: str, others: Sequence[str], item: SceneObject, rng: Random) -> Asked:
    offered = [answer, *_mixed(rng, others)[: MOST_CHOICES - 1]]
    *most, last = _mixed(rng, offered)
    return text(f"{question} {', '.join(most)} or {last}?", answer, item)


def _mixed(rng: Random, items: Sequence[str]) -> list[str]:
    """The items in a drawn order, the same in every version of Python."""
    return sorted(items, key=lambda _: rng.random())
