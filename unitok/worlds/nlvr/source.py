"""NLVR's statements as documents of three images, with paraphrases of equal truth. Knows no codes.

An image of NLVR has 400 x 100 pixels: three grey boxes. Each becomes an image of its own with a description
in words, parsed from its flat colours. The sentence comes first, in lower case without a full stop, so that
the model reads each box with it in mind.
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
from unitok.worlds.nlvr.boxes import COLOURS, GROUND, SIDE, parse_box
from unitok.worlds.nlvr.clauses import VERDICTS
from unitok.worlds.nlvr.lessons import build_lesson
from unitok.worlds.nlvr.statements import statements_by_words

SIZE = (400, SIDE)
COLUMNS = ((0, 100), (150, 250), (300, 400))
SIDES = frozenset({"left", "right"})
ORDER = SIDES | {"first", "second", "third", "last", "middle", "center", "centre", "between"}
MIN_FREQUENCY = 5  # sentences with a word; a rarer word may be a misspelled colour


class Paraphrase(NamedTuple):
    """The new order of the boxes, which of them are mirrored, and the new name of each colour."""

    order: tuple[int, ...] = (0, 1, 2)
    mirrored: tuple[bool, ...] = (False,) * 3
    colours: tuple[str, ...] = tuple(COLOURS)


IDENTITY = Paraphrase()


class NlvrBoxes(StatementShards):
    """A document for each statement of NLVR: the sentence, an image and description of each box, the verdict.

    With `meanings`, only statements whose sentence has a known meaning, as lessons on grey boxes, with a
    reason after each description.

    Args:
        path, split, where: of WebDataset; metadata have sentence and label.
        copies: documents per statement; all but the first are paraphrases. Boxes change places unless the
            sentence refers to their order, are mirrored unless it mentions left or right, and colours are
            exchanged in images and sentence if all its words are frequent.
        seed: of the paraphrases.
        meanings: number of statements sampled as known meanings; see `statements_by_words`. Statements whose
            label contradicts the meaning are skipped.
        shown: whether documents have the images and descriptions are learned; without images, descriptions
            are given.

    Raises:
        ValueError: a sample has no statement or an image of another size, or copies is below 1.
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
            raise ValueError(f"copies must be at least 1, got {copies}")
        self.copies, self.seed = copies, seed
        self.meanings, self.with_images = meanings, shown
        self.frequencies = Counter(w for record in self.records for w in set(words_of(record["sentence"])))
        self.statements = range(len(self.records))
        if meanings:
            self.statements = [number for number in self.statements if self._has_meaning(number)]

    def _has_meaning(self, statement: int) -> bool:
        """Whether a sentence's meaning is known and agrees with the label."""
        meaning = statements_by_words(self.meanings).get(self._sentence(statement))
        if meaning is None:
            return False
        boxes = [parse_box(box) for box in paraphrase_image(self._image(statement), IDENTITY)]
        return meaning.holds(boxes) == super().truth(statement)

    def __len__(self) -> int:
        return len(self.statements) * self.copies

    def truth(self, index: int) -> bool:
        return super().truth(self.statements[index % len(self.statements)])

    def sentence(self, index: int) -> str:
        return super().sentence(self.statements[index % len(self.statements)])

    def __getitem__(self, index: int) -> Document:
        sentence, images = self.inputs(index)
        boxes = [parse_box(image) for image in images]
        reasons = [self.verdict(index).content]
        if self.meanings:
            reasons = statements_by_words(self.meanings)[sentence].reasons(boxes)
        return build_lesson(sentence, boxes, images if self.with_images else [], reasons)

    def inputs(self, index: int) -> tuple[str, list[Image.Image]]:
        """The sentence and its three boxes at an index. Raises ValueError for an image of another size."""
        copy, number = divmod(index, len(self.statements))
        statement = self.statements[number]
        sentence = self._sentence(statement)
        paraphrase = self._sample_paraphrase(index, words_of(sentence)) if copy else IDENTITY
        known = statements_by_words(self.meanings) if self.meanings else None
        if known is not None and paraphrase_sentence(sentence, paraphrase) not in known:
            paraphrase = paraphrase._replace(colours=IDENTITY.colours)
        images = paraphrase_image(self._image(statement), paraphrase)
        return paraphrase_sentence(sentence, paraphrase), images

    def _sentence(self, statement: int) -> str:
        return " ".join(self.records[statement]["sentence"].strip().rstrip(".").lower().split())

    def _image(self, statement: int) -> Image.Image:
        image = self.shards[statement][1].content
        if image.size != SIZE:
            raise ValueError(
                f"statement {statement}: an NLVR image must have {SIZE} pixels, got {image.size}"
            )
        return image

    def _sample_paraphrase(self, index: int, words: list[str]) -> Paraphrase:
        """Samples a paraphrase that keeps the truth of a sentence of these words."""
        draws = [uniform(self.seed, 0, index, name) for name in ("order", "colours", "0", "1", "2")]
        orders, names = list(permutations(range(3))), list(permutations(COLOURS))
        all_frequent = all(self.frequencies[word] >= MIN_FREQUENCY for word in words)
        return Paraphrase(
            IDENTITY.order if ORDER & {*words} else orders[int(draws[0] * len(orders))],
            IDENTITY.mirrored if SIDES & {*words} else tuple(draw < 0.5 for draw in draws[2:]),
            names[int(draws[1] * len(names))] if all_frequent else IDENTITY.colours,
        )


def words_of(sentence: str) -> list[str]:
    """The words of a sentence in lower case."""
    return re.findall(r"[a-z]+", sentence.lower())


def paraphrase_sentence(sentence: str, paraphrase: Paraphrase) -> str:
    """Replaces the colours' names in a sentence."""
    names = dict(zip(COLOURS, paraphrase.colours, strict=True))
    return re.sub(rf"\b({'|'.join(COLOURS)})\b", lambda match: names[match[1]], sentence)


def paraphrase_image(image: Image.Image, paraphrase: Paraphrase) -> list[Image.Image]:
    """The three boxes of an image after a paraphrase."""
    boxes = [image.convert("RGB").crop((left, 0, right, SIZE[1])) for left, right in COLUMNS]
    boxes = [
        ImageOps.mirror(b) if mirror else b for b, mirror in zip(boxes, paraphrase.mirrored, strict=True)
    ]
    boxes = [boxes[number] for number in paraphrase.order]
    if paraphrase.colours == IDENTITY.colours:
        return boxes
    return [_recolour(box, paraphrase.colours) for box in boxes]


def _recolour(box: Image.Image, names: tuple[str, ...]) -> Image.Image:
    """Exchanges colours; pixels of soft edges keep their share of a colour."""
    pixels = np.array(box)
    shapes = (pixels != GROUND).any(axis=-1)
    difference = pixels[shapes].astype(np.float32) - GROUND
    old = np.array(list(COLOURS.values()), np.float32) - GROUND
    new = np.array([COLOURS[name] for name in names], np.float32) - GROUND
    share = (difference @ old.T / (old**2).sum(axis=1)).clip(0, 1)
    distance = ((difference[:, None] - share[..., None] * old) ** 2).sum(axis=-1)
    nearest = distance.argmin(axis=-1)
    share = np.take_along_axis(share, nearest[:, None], axis=-1)
    values = difference + share * (new - old)[nearest] + GROUND
    pixels[shapes] = values.round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels)
