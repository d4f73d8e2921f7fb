"""Lessons on grey boxes: a sentence, then of each box what it holds and what of it matters. Knows no tokenizer."""

from itertools import count
from random import Random
from typing import NamedTuple

from unitok.data.boxes import Box, drawn_box, sample_boxes, told
from unitok.data.boxes_statements import Statement, draw_statement
from unitok.data.seeds import TRAIN_SEED, Seeded
from unitok.document import Document, Segment

TOWERS = 0.6
"""Share of lessons on towers."""
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


class BoxLessons(Seeded):
    """`count` documents of consecutive seeds: sentence; of each box its picture, what it holds and what of
    that matters; what is counted, and the verdict.

    Args:
        first_seed: TRAIN_SEED, VALIDATION_SEED or TEST_SEED, or a seed after it; see Seeded.
        count: documents.
        shown: whether the pictures are there, and what they hold is learned; without them it is a cheap lesson
            in judging.
    """

    def __init__(self, first_seed: int = TRAIN_SEED, count: int = 20_000, shown: bool = True):
        super().__init__(first_seed, count)
        self.shown = shown

    def __getitem__(self, index: int) -> Document:
        statement, boxes = draw_lesson(self.seed(index))
        *seen, last = statement.reasons(boxes)
        document = [Segment("text", statement.words, learn=False)]
        for box, reason in zip(boxes, seen, strict=True):
            if self.shown:
                document.append(Segment("image", drawn_box(box), learn=False))
            document += [Segment("text", told(box), learn=self.shown), Segment("text", reason)]
        return *document, Segment("text", last)
