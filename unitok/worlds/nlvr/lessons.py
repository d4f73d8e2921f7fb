"""Lessons for step-by-step reasoning: a statement, then a description and a reason for each box. Knows no
tokenizer."""

from collections.abc import Sequence
from itertools import count
from random import Random
from typing import NamedTuple

from PIL import Image

from unitok.document import Document, Segment
from unitok.worlds.nlvr.boxes import GreyBox, describe, render_box, sample_boxes
from unitok.worlds.nlvr.statements import Statement, sample_statement
from unitok.worlds.seeded import TRAIN_SEED, Seeded, one_of

TOWER_SHARE = 0.4
"""Share of lessons on towers, which are learned sooner than scattered objects."""
TYPO_SHARE = 0.1
"""Share of sentences with a typo."""
TRIES = 12
"""Boxes sampled for a statement before another statement is sampled."""


class Lesson(NamedTuple):
    """A statement and three boxes."""

    statement: Statement
    boxes: tuple[GreyBox, GreyBox, GreyBox]


def sample_lesson(seed: int) -> Lesson:
    """The lesson of a seed; half of all lessons are true."""
    rng = Random(f"boxes of {seed}")
    truth, towers = rng.random() < 0.5, rng.random() < TOWER_SHARE
    for number in count():
        if number % TRIES == 0:
            statement = sample_statement(rng, towers=towers)
        boxes = sample_boxes(rng, towers=towers)
        if statement.holds(boxes) == truth:
            break
    return Lesson(statement, boxes)


def add_typo(words: str, seed: int) -> str:
    """Adds people's typos to a share of sentences: a letter is lost, doubled or exchanged with the next."""
    rng = Random(f"misprint of {seed}")
    if rng.random() >= TYPO_SHARE:
        return words
    place = int(rng.random() * (len(words) - 1))
    one, two = words[place], words[place + 1]
    return words[:place] + one_of(rng, (two, one + one + two, two + one)) + words[place + 2 :]


def build_lesson(
    sentence: str, boxes: Sequence[GreyBox], images: Sequence[Image.Image], reasons: Sequence[str]
) -> Document:
    """The document of a lesson: the sentence, an image, description and reason for each box, the verdict.

    Without images the descriptions are given, not learned; reasons may be the verdict alone.
    """
    *observations, verdict = reasons
    document = [Segment("text", sentence, learn=False)]
    for number, box in enumerate(boxes):
        document += [Segment("image", image, learn=False) for image in images[number : number + 1]]
        document.append(Segment("text", describe(box), learn=bool(images)))
        document += [Segment("text", reason) for reason in observations[number : number + 1]]
    return *document, Segment("text", verdict)


class BoxLessons(Seeded):
    """`count` documents of consecutive seeds: the sentence; an image, description and reason for each box;
    the count and the verdict.

    Args:
        first_seed: TRAIN_SEED, VALIDATION_SEED or TEST_SEED, or a seed after it; see Seeded.
        count: number of documents.
        shown: whether documents have the images and descriptions are learned; without images, a lesson is
            cheap and teaches only judging.
    """

    def __init__(self, first_seed: int = TRAIN_SEED, count: int = 20_000, shown: bool = True):
        super().__init__(first_seed, count)
        self.shown = shown

    def __getitem__(self, index: int) -> Document:
        seed = self.seed(index)
        statement, boxes = sample_lesson(seed)
        images = [render_box(box) for box in boxes] if self.shown else []
        return build_lesson(add_typo(statement.words, seed), boxes, images, statement.reasons(boxes))
