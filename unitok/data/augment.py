"""More documents out of few: pictures mirrored and shifted. Knows no files and no codes."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from unitok.data.draws import uniform
from unitok.data.sources import Source
from unitok.document import Document, Segment


@dataclass(frozen=True)
class Augment:
    """How pictures may change while their captions stay true.

    Args:
        copies: documents made of each; the first is the original.
        mirror: left and right may change places; not for letters, nor where captions say left or right.
        shift: pixels that a picture may move in each direction, its edges repeated; not where captions name
            places.
        seed: of the draws.
    """

    copies: int = 8
    mirror: bool = True
    shift: int = 0
    seed: int = 0

    def __post_init__(self):
        if self.copies < 1 or self.shift < 0:
            raise ValueError(
                f"got copies={self.copies}, shift={self.shift}; expected 1 or more, and 0 or more"
            )


class Augmented(Source):
    """`copies` passes over a source, all but the first with changed pictures; a function of the index."""

    def __init__(self, source: Source, augment: Augment):
        self.source, self.augment = source, augment
        self.faults = source.faults

    def __len__(self) -> int:
        return len(self.source) * self.augment.copies

    def __getitem__(self, index: int) -> Document:
        number, original = divmod(index, len(self.source))
        document = self.source[original]
        if number == 0:
            return document
        return tuple(
            Segment("image", self._changed(segment.content, index, place), segment.learn)
            if segment.modality == "image"
            else segment
            for place, segment in enumerate(document)
        )

    def _changed(self, picture: Image.Image, index: int, place: int) -> Image.Image:
        def drawn(what: str) -> float:
            return uniform(self.augment.seed, place, index, what)

        if self.augment.mirror and drawn("mirror") < 0.5:
            picture = ImageOps.mirror(picture)
        reach = self.augment.shift
        down, right = (int(drawn(side) * (2 * reach + 1)) for side in ("down", "right"))
        padded = np.pad(np.asarray(picture), ((reach, reach), (reach, reach), (0, 0)), mode="edge")
        return Image.fromarray(padded[down : down + picture.height, right : right + picture.width])
