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
    """How images may change while their captions stay true; boxes and points change with them.

    Args:
        copies: documents made of each; the first is the original.
        mirror: mirror at random; not for images of letters, nor if texts mention left or right.
        shift: most pixels by which an image is shifted in each direction, its edges repeated; not if captions
            mention places.
        seed: of the random changes.
    """

    copies: int = 8
    mirror: bool = True
    shift: int = 0
    seed: int = 0

    def __post_init__(self):
        if self.copies < 1 or self.shift < 0:
            raise ValueError(
                f"copies must be at least 1 and shift 0 or more, got {self.copies} and {self.shift}"
            )


class Augmented(Source):
    """`copies` passes over a source, all but the first with changed images; a pure function of the index.

    A document with an action, or with another modality that may refer to its images, stays unchanged.
    """

    def __init__(self, source: Source, augment: Augment):
        self.source, self.augment = source, augment
        self.faults = source.faults

    def __len__(self) -> int:
        return len(self.source) * self.augment.copies

    def __getitem__(self, index: int) -> Document:
        number, original = divmod(index, len(self.source))
        document = self.source[original]
        images = [segment.content for segment in document if segment.modality == "image"]
        if number == 0 or not images or any(segment.modality not in _KNOWN for segment in document):
            return document
        change = self._sample(index)
        return tuple(
            replace(segment, content=_CHANGES[segment.modality](segment.content, change, images[0]))
            if segment.modality in _CHANGES
            else segment
            for segment in document
        )

    def _sample(self, index: int) -> "Change":
        """Samples one change for a whole document, so that images and locations still match."""
        seed, reach = self.augment.seed, self.augment.shift
        mirror = self.augment.mirror and uniform(seed, 0, index, "mirror") < 0.5
        right, down = (
            int(uniform(seed, 0, index, side) * (2 * reach + 1)) - reach for side in ("right", "down")
        )
        return Change(mirror, right, down)


class Change(NamedTuple):
    """A mirroring, followed by a shift in pixels."""

    mirror: bool
    right: int
    down: int


def _change_image(image: Image.Image, change: Change, _: Image.Image) -> Image.Image:
    """Changes an image; the shift repeats its edge."""
    if change.mirror:
        image = ImageOps.mirror(image)
    rows = (np.arange(image.height) - change.down).clip(0, image.height - 1)
    columns = (np.arange(image.width) - change.right).clip(0, image.width - 1)
    return Image.fromarray(np.asarray(image)[rows][:, columns])


def _change_box(box: Box, change: Change, image: Image.Image) -> Box:
    """Changes a box with its image, clipped to it."""
    left, top, right, bottom = box.pixels(*image.size)
    if change.mirror:
        left, right = image.width - right, image.width - left
    moved = (left + change.right, top + change.down, right + change.right, bottom + change.down)
    return Box.of_pixels(moved, *image.size)


def _change_point(point: Point, change: Change, image: Image.Image) -> Point:
    """Changes a point with its image, clipped to it."""
    box = _change_box(Box(point.x, point.y, point.x, point.y), change, image)
    return Point(box.left, box.top)


_CHANGES = {"image": _change_image, "box": _change_box, "point": _change_point}
_KNOWN = {"text", *_CHANGES}
"""Modalities that change with an image, or need not."""


def augment_source(documents: Source, augment: Augment) -> Source:
    """Adds changed copies to a source; to each source of a mixture, so that their shares stay."""
    if is_mixed(documents):
        return documents.map_sources(lambda source: augment_source(source, augment))
    return Augmented(documents, augment)
