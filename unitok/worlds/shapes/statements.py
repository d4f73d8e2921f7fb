"""True or false statements about one scene, and multiple-choice questions. Knows no model and no pixels.

A statement is made about a scene only if its form allows a true and a false one; then a coin decides. So form
and numbers reveal little of the answer: the image must be read.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from random import Random
from typing import NamedTuple

from unitok.worlds.seeded import one_of
from unitok.worlds.shapes.questions import (
    OPPOSITE,
    Look,
    QuestionAnswer,
    choose,
    look,
    name_of,
    text_answer,
    uniquely_named,
)
from unitok.worlds.shapes.world import COLOURS, NUMBERS, RELATIONS, SHAPES, Scene, SceneObject, is_related

COUNTS = (1, 2, 3)
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "": int.__eq__,
    "exactly ": int.__eq__,
    "at least ": int.__ge__,
    "at most ": int.__le__,
}
MAX_CHOICES = 4


class Statement(NamedTuple):
    """A statement, whether it is true, and the objects it is about."""

    words: str
    holds: bool
    about: tuple[SceneObject, ...] = ()


class Subject(NamedTuple):
    """The objects that a statement counts: all, or those of a shape, of a colour or of both."""

    shape: str | None = None
    colour: str | None = None

    @property
    def name(self) -> str:
        """Such as "red circle", "circle", "red object" or "object"."""
        return f"{self.colour or ''} {self.shape or 'object'}".strip()

    @property
    def with_article(self) -> str:
        """The name with its article."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"

    def with_number(self, count: int, rng: Random) -> str:
        """The name with a number, in digits or words."""
        words = one_of(rng, (str(count), ({1: "one"} | NUMBERS).get(count, str(count))))
        return f"{words} {self.name}{'' if count == 1 else 's'}"

    def objects_in(self, scene: Scene) -> tuple[SceneObject, ...]:
        """The subject's objects in a scene."""
        return tuple(
            item
            for item in scene.objects
            if self.shape in (None, item.shape) and self.colour in (None, item.colour)
        )


def shapes_and_colours() -> list[Subject]:
    """The subjects with one trait."""
    return [*(Subject(shape=s) for s in SHAPES), *(Subject(colour=c) for c in COLOURS)]


def subjects(*scenes: Scene) -> list[Subject]:
    """The subject of all objects, and those traits and looks that occur in the scenes."""
    items = [item for scene in scenes for item in scene.objects]
    looks = dict.fromkeys(Subject(*look(item)) for item in items)
    traits = (subject for subject in shapes_and_colours() if any(map(subject.objects_in, scenes)))
    return [Subject(), *traits, *looks]


def choose_by_coin(rng: Random, options: Iterable[Statement]) -> QuestionAnswer | None:
    """Samples a true or a false statement by a coin; None if there are not both."""
    options, truth = list(options), rng.random() < 0.5
    if len({option.holds for option in options}) < 2:
        return None
    verdict = "true" if truth else "false"
    return choose(rng, [text_answer(o.words, verdict, *o.about) for o in options if o.holds == truth])


# ---- one scene


def ask_statement(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """A statement about a scene, of one of five forms."""
    return one_of(rng, (_existence, _count, _attribute, _relation, _comparison))(scene, looks, rng)


def _existence(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "there is a red circle" or "there is no star". Absent looks share a trait with an object."""
    present = subjects(scene)
    near = [Subject(*pair) for pair in looks if any(s in pair for item in scene.objects for s in look(item))]
    level = one_of(rng, ([Subject(shape=s) for s in SHAPES], [Subject(colour=c) for c in COLOURS], near))
    negated = rng.random() < 0.5
    options = []
    for subject in level:
        words = f"there is {f'no {subject.name}' if negated else subject.with_article}"
        options.append(Statement(words, (subject in present) != negated, subject.objects_in(scene)))
    return choose_by_coin(rng, options)


def _count(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "there are exactly two circles" or "there is at least one red object"."""
    comparison, count = one_of(rng, tuple(COMPARISONS)), one_of(rng, COUNTS)
    verb, options = "there is" if count == 1 else "there are", []
    for subject in dict.fromkeys([*subjects(scene), *shapes_and_colours()]):
        items = subject.objects_in(scene)
        words = f"{verb} {comparison}{subject.with_number(count, rng)}"
        options.append(Statement(words, COMPARISONS[comparison](len(items), count), items))
    return choose_by_coin(rng, options)


def _attribute(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "the circle left of the blue square is red". The shape is unique, but for the named object."""
    options = []
    for b in uniquely_named(scene):
        for a in (item for item in scene.objects if item is not b):
            if sum(item.shape == a.shape for item in scene.objects if item is not b) > 1:
                continue
            for relation in (name for name in RELATIONS if is_related(a, b, name, scene.canvas)):
                colours = [colour for shape, colour in looks if shape == a.shape]
                for colour in dict.fromkeys([a.colour, *colours]):
                    words = f"the {a.shape} {relation} {name_of(b)} is {colour}"
                    options.append(Statement(words, colour == a.colour, (a, b)))
    return choose_by_coin(rng, options)


def _relation(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "the red circle is left of the blue square", or the opposite of the true relation."""
    options = []
    for a, b in permutations(uniquely_named(scene), 2):
        for relation in (name for name in RELATIONS if is_related(a, b, name, scene.canvas)):
            for words, holds in ((relation, True), (OPPOSITE[relation], False)):
                options.append(Statement(f"{name_of(a)} is {words} {name_of(b)}", holds, (a, b)))
    return choose_by_coin(rng, options)


def _comparison(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "there are more circles than squares"."""
    level = one_of(rng, ([Subject(shape=s) for s in SHAPES], [Subject(colour=c) for c in COLOURS]))
    options, more = [], rng.random() < 0.5
    for a, b in ((a, b) for a in level for b in level):
        items_a, items_b = a.objects_in(scene), b.objects_in(scene)
        difference = len(items_a) - len(items_b)
        if difference:
            words = f"there are {'more' if more else 'fewer'} {a.name}s than {b.name}s"
            options.append(Statement(words, (difference > 0) == more, (*items_a, *items_b)))
    return choose_by_coin(rng, options)


# ---- choices


def ask_choice(scene: Scene, looks: Sequence[Look], rng: Random) -> QuestionAnswer | None:
    """Such as "what color is the circle? red, blue, green or gray?", with the choices in random order."""
    options = []
    for item in scene.objects:
        if len(Subject(shape=item.shape).objects_in(scene)) == 1:
            others = [colour for shape, colour in looks if shape == item.shape and colour != item.colour]
            options.append(_choice(f"what color is the {item.shape}?", item.colour, others, item, rng))
        if len(Subject(colour=item.colour).objects_in(scene)) == 1:
            others = [shape for shape, colour in looks if colour == item.colour and shape != item.shape]
            options.append(_choice(f"what shape is {item.colour}?", item.shape, others, item, rng))
    return choose(rng, options)


def _choice(
    question: str, answer: str, others: Sequence[str], item: SceneObject, rng: Random
) -> QuestionAnswer:
    choices = [answer, *_shuffle(rng, others)[: MAX_CHOICES - 1]]
    *rest, last = _shuffle(rng, choices)
    return text_answer(f"{question} {', '.join(rest)} or {last}?", answer, item)


def _shuffle(rng: Random, items: Sequence[str]) -> list[str]:
    """Returns the items in random order, the same in every version of Python."""
    return sorted(items, key=lambda _: rng.random())
