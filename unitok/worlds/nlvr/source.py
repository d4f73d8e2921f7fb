"""NLVR's statements as documents of three images, with paraphrases of equal truth. Knows no codes.

A picture of NLVR has 400 x 100 pixels: three grey boxes, each of which becomes a picture of its own and is
told in words, read off its flat colours. The sentence comes first, in lower case without a full stop, so that
each box is read with it in mind.
"""

import re
from collections import Counter
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from unitok.data.keyed_random import uniform
from unitok.data.readers.question_shards import StatementShards
from unitok.document import Document
from unitok.worlds.nlvr.boxes import COLOURS, GROUND, SIDE, read_box
from unitok.worlds.nlvr.clauses import VERDICTS
from unitok.worlds.nlvr.lessons import lesson_of
from unitok.worlds.nlvr.statements import statements_by_words

SIZE = (400, SIDE)
COLUMNS = ((0, 100), (150, 250), (300, 400))
SIDES = frozenset({"left", "right"})
ORDER = SIDES | {"first", "second", "third", "last", "middle", "center", "centre", "between"}
FEW = 5  # sentences; a rarer word may be a colour's name written wrongly


class Change(NamedTuple):
    """The boxes in their new order, which of them are mirrored, and the new name of each colour."""

    order: tuple[int, ...] = (0, 1, 2)
    mirrored: tuple[bool, ...] = (False,) * 3
    colours: tuple[str, ...] = tuple(COLOURS)


SAME = Change()


class NlvrBoxes(StatementShards):
    """A document for each statement of NLVR: sentence, each box's picture and what it holds, the verdict.

    With `meanings`, those alone whose sentence is known, as lessons on grey boxes: what of each box matters
    is told too.

    Args:
        path, split, where: of WebDataset; metadata have sentence and label.
        copies: documents of each statement; all but the first are changed. The boxes change places where the
            sentence names none of them, each box's left and right where it says neither, and the colours in
            pictures and sentence alike where all its words are usual.
        seed: of the changes.
        meanings: statements that are drawn to know what sentences mean; see `statements_by_words`. Where one
            contradicts the verdict, the statement is left out.
        shown: whether the pictures are there, and what they hold is learned; without them it is given.

    Raises:
        ValueError: a sample has no statement or a picture of another size, or copies is below 1.
    """

    verdicts = VERDICTS

    def __init__(
        self,
        path: str,
        split: str = "train",
        where: dict[str, Any] | None = None,
        copies: int = 1,
        seed: int = 0,
        meanings: int = 0,
        shown: bool = True,
    ):
        super().__init__(path, split, where)
        if copies < 1:
            raise ValueError(f"copies is 1 or more, not {copies}")
        self.copies, self.seed = copies, seed
        self.meanings, self.with_pictures = meanings, shown
        self.words = Counter(w for record in self.records for w in set(words_of(record["sentence"])))
        self.kept = range(len(self.records))
        if meanings:
            self.kept = [number for number in self.kept if self._explained(number)]

    def _explained(self, statement: int) -> bool:
        """Whether what a sentence means is known, and agrees with the verdict."""
        meaning = statements_by_words(self.meanings).get(self._words(statement))
        if meaning is None:
            return False
        boxes = [read_box(box) for box in changed(self._picture(statement), SAME)]
        return meaning.holds(boxes) == super().truth(statement)

    def __len__(self) -> int:
        return len(self.kept) * self.copies

    def truth(self, index: int) -> bool:
        return super().truth(self.kept[index % len(self.kept)])

    def sentence(self, index: int) -> str:
        return super().sentence(self.kept[index % len(self.kept)])

    def __getitem__(self, index: int) -> Document:
        sentence, pictures = self.shown(index)
        boxes = [read_box(picture) for picture in pictures]
        reasons = [self.verdict(index).content]
        if self.meanings:
            reasons = statements_by_words(self.meanings)[sentence].reasons(boxes)
        return lesson_of(sentence, boxes, pictures if self.with_pictures else [], reasons)

    def shown(self, index: int) -> tuple[str, list[Image.Image]]:
        """A sentence and its three boxes. Raises ValueError for a picture of another size."""
        number, place = divmod(index, len(self.kept))
        statement = self.kept[place]
        sentence = self._words(statement)
        change = self._drawn(index, words_of(sentence)) if number else SAME
        if self.meanings and renamed(sentence, change) not in statements_by_words(self.meanings):
            change = change._replace(colours=SAME.colours)
        return renamed(sentence, change), changed(self._picture(statement), change)

    def _words(self, statement: int) -> str:
        return " ".join(self.records[statement]["sentence"].strip().rstrip(".").lower().split())

    def _picture(self, statement: int) -> Image.Image:
        picture = self.shards[statement][1].content
        if picture.size != SIZE:
            raise ValueError(
                f"statement {statement}: a picture of NLVR has {SIZE} pixels, not {picture.size}"
            )
        return picture

    def _drawn(self, index: int, words: list[str]) -> Change:
        """A change that leaves the truth of a sentence of these words."""
        draws = [uniform(self.seed, 0, index, name) for name in ("order", "colours", "0", "1", "2")]
        orders, names = list(permutations(range(3))), list(permutations(COLOURS))
        usual = all(self.words[word] >= FEW for word in words)
        return Change(
            SAME.order if ORDER & {*words} else orders[int(draws[0] * len(orders))],
            SAME.mirrored if SIDES & {*words} else tuple(draw < 0.5 for draw in draws[2:]),
            names[int(draws[1] * len(names))] if usual else SAME.colours,
        )


def words_of(sentence: str) -> list[str]:
    """Its words in lower case."""
    return re.findall(r"[a-z]+", sentence.lower())


def renamed(sentence: str, change: Change) -> str:
    """A sentence with the new names of the colours."""
    names = dict(zip(COLOURS, change.colours, strict=True))
    return re.sub(rf"\b({'|'.join(COLOURS)})\b", lambda found: names[found[1]], sentence)


def changed(picture: Image.Image, change: Change) -> list[Image.Image]:
    """The three boxes of a picture after a change."""
    boxes = [picture.convert("RGB").crop((left, 0, right, SIZE[1])) for left, right in COLUMNS]
    boxes = [ImageOps.mirror(box) if turn else box for box, turn in zip(boxes, change.mirrored, strict=True)]
    boxes = [boxes[number] for number in change.order]
    return boxes if change.colours == SAME.colours else [_recoloured(box, change.colours) for box in boxes]


def _recoloured(box: Image.Image, names: tuple[str, ...]) -> Image.Image:
    """Each colour's pixels in its new one, soft edges by their share of it."""
    pixels = np.array(box)
    shapes = (pixels != GROUND).any(axis=-1)
    off = pixels[shapes].astype(np.float32) - GROUND
    old = np.array(list(COLOURS.values()), np.float32) - GROUND
    new = np.array([COLOURS[name] for name in names], np.float32) - GROUND
    share = (off @ old.T / (old**2).sum(axis=1)).clip(0, 1)
    distance = ((off[:, None] - share[..., None] * old) ** 2).sum(axis=-1)
    nearest = distance.argmin(axis=-1)
    share = np.take_along_axis(share, nearest[:, None], axis=-1)
    values = off + share * (new - old)[nearest] + GROUND
    pixels[shapes] = values.round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels)
