"""Augmentation: mirrored and shifted images, and their boxes with them. Knows no files and no codes."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from unitok.data.keyed_random import uniform
from unitok.data.mixture import is_mixed
from unitok.data.source import Source
from unitok.document import Document
from unitok.modalities.geometry import Box, Point


@dataclass(frozen=True)
class Augment:
    """How pictures may change while their captions stay true; boxes and points change with them.

    Args:
        copies: documents made of each; the first is the original.
        mirror: left and right may change places; not for letters, nor where words say left or right.
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
        pictures = [segment.content for segment in document if segment.modality == "image"]
        if number == 0 or not pictures:
            return document
        change = self._drawn(index)
        return tuple(
            replace(segment, content=_CHANGES[segment.modality](segment.content, change, pictures[0]))
            if segment.modality in _CHANGES
            else segment
            for segment in document
        )

    def _drawn(self, index: int) -> "Change":
        """One change for all of a document, so that pictures and places still belong together."""
        seed, reach = self.augment.seed, self.augment.shift
        mirror = self.augment.mirror and uniform(seed, 0, index, "mirror") < 0.5
        right, down = (
            int(uniform(seed, 0, index, side) * (2 * reach + 1)) - reach for side in ("right", "down")
        )
        return Change(mirror, right, down)


class Change(NamedTuple):
    """Left and right change places first; then all moves by so many pixels."""

    mirror: bool
    right: int
    down: int


def _picture(picture: Image.Image, change: Change, _: Image.Image) -> Image.Image:
    """A changed picture; what moves in repeats the edge."""
    if change.mirror:
        picture = ImageOps.mirror(picture)
    rows = (np.arange(picture.height) - change.down).clip(0, picture.height - 1)
    columns = (np.arange(picture.width) - change.right).clip(0, picture.width - 1)
    return Image.fromarray(np.asarray(picture)[rows][:, columns])


def _box(box: Box, change: Change, picture: Image.Image) -> Box:
    """Where a box of a picture goes; what leaves the picture is cut off."""
    left, top, right, bottom = box.pixels(*picture.size)
    if change.mirror:
        left, right = picture.width - right, picture.width - left
    moved = (left + change.right, top + change.down, right + change.right, bottom + change.down)
    return Box.of_pixels(moved, *picture.size)


def _point(point: Point, change: Change, picture: Image.Image) -> Point:
    """Where a point of a picture goes, at most to its edge."""
    box = _box(Box(point.x, point.y, point.x, point.y), change, picture)
    return Point(box.left, box.top)


_CHANGES = {"image": _picture, "box": _box, "point": _point}


def augmented(documents: Source, augment: Augment) -> Source:
    """A source with changed copies; of a mixture each, so that their shares stay."""
    if is_mixed(documents):
        return documents.with_each(lambda source: augmented(source, augment))
    return Augmented(documents, augment)
