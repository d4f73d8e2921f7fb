"""Lessons for step-by-step reasoning: a statement, then what each box holds and what matters. Knows no
tokenizer."""

from collections.abc import Sequence
from itertools import count
from random import Random
from typing import NamedTuple

from PIL import Image

from unitok.document import Document, Segment
from unitok.worlds.nlvr.boxes import Box, drawn_box, sample_boxes, told
from unitok.worlds.nlvr.statements import Statement, draw_statement
from unitok.worlds.seeded import TRAIN_SEED, Seeded, one_of

TOWERS = 0.4
"""Share of lessons on towers, which are soon learned."""
MISPRINTS = 0.1
"""Share of sentences with one."""
TRIES = 12
"""Boxes that are drawn for a statement before another is."""


class Lesson(NamedTuple):
    """A statement and three boxes."""

    statement: Statement
    boxes: tuple[Box, Box, Box]


def draw_lesson(seed: int) -> Lesson:
    """The lesson of a seed; half of them are true."""
    rng = Random(f"boxes of {seed}")
    wanted, towers = rng.random() < 0.5, rng.random() < TOWERS
    for number in count():
        if number % TRIES == 0:
            statement = draw_statement(rng, towers=towers)
        boxes = sample_boxes(rng, towers=towers)
        if statement.holds(boxes) == wanted:
            break
    return Lesson(statement, boxes)


def mistyped(words: str, seed: int) -> str:
    """A sentence as people write them: now and then a letter is lost, doubled or exchanged with the next."""
    rng = Random(f"misprint of {seed}")
    if rng.random() >= MISPRINTS:
        return words
    place = int(rng.random() * (len(words) - 1))
    one, two = words[place], words[place + 1]
    return words[:place] + one_of(rng, (two, one + one + two, two + one)) + words[place + 2 :]


def lesson_of(
    sentence: str, boxes: Sequence[Box], pictures: Sequence[Image.Image], reasons: Sequence[str]
) -> Document:
    """The document of a lesson: the sentence, each box and what is seen of it, and what that comes to.

    Without pictures what the boxes hold is given, not learned; reasons may be the last alone.
    """
    *seen, last = reasons
    document = [Segment("text", sentence, learn=False)]
    for number, box in enumerate(boxes):
        document += [Segment("image", picture, learn=False) for picture in pictures[number : number + 1]]
        document.append(Segment("text", told(box), learn=bool(pictures)))
        document += [Segment("text", reason) for reason in seen[number : number + 1]]
    return *document, Segment("text", last)


class BoxLessons(Seeded):
    """`count` documents of consecutive seeds: sentence; of each box its picture, what it holds and what of
    that matters; what is counted, and the verdict.

    Args:
        first_seed: TRAIN_SEED, VALIDATION_SEED or TEST_SEED, or a seed after it; see Seeded.
        count: documents.
        shown: whether the pictures are there, and what they hold is learned; without them it is a cheap
            lesson in judging.
    """

    def __init__(self, first_seed: int = TRAIN_SEED, count: int = 20_000, shown: bool = True):
        super().__init__(first_seed, count)
        self.shown = shown

    def __getitem__(self, index: int) -> Document:
        seed = self.seed(index)
        statement, boxes = draw_lesson(seed)
        pictures = [drawn_box(box) for box in boxes] if self.shown else []
        return lesson_of(mistyped(statement.words, seed), boxes, pictures, statement.reasons(boxes))
