"""Resizing: one size for all images, or buckets of aspect ratios. Knows no codes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import log

from PIL import Image, ImageOps

from unitok.data.source import Source
from unitok.document import Document, Segment
from unitok.pixels import as_rgb


class Resize(ABC):
    """A way to resize images."""

    @abstractmethod
    def __call__(self, image: Image.Image) -> Image.Image: ...


@dataclass(frozen=True)
class Fit(Resize):
    """Scales an image until it just covers `height` x `width` pixels, then crops it around the centre."""

    height: int
    width: int

    def __call__(self, image: Image.Image) -> Image.Image:
        if image.size == (self.width, self.height):
            return image
        return ImageOps.fit(image, (self.width, self.height), Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class Crop(Resize):
    """Crops `height` x `width` pixels around the centre, unscaled; smaller images are enlarged first."""

    height: int
    width: int

    def __call__(self, image: Image.Image) -> Image.Image:
        if image.width < self.width or image.height < self.height:
            return Fit(self.height, self.width)(image)
        left, top = (image.width - self.width) // 2, (image.height - self.height) // 2
        return image.crop((left, top, left + self.width, top + self.height))


@dataclass(frozen=True)
class Buckets(Resize):
    """Applies `Fit` with the shape of nearest aspect ratio among those of at most `cells` cells.

    Args:
        cells: the budget: codes per image, at one code per cell.
        cell: pixels a side of a cell.
        longest: the largest aspect ratio.

    Example:
        >>> Buckets(cells=64, cell=8).shape(width=640, height=320)
        (5, 12)
    """

    cells: int
    cell: int
    longest: float = 4.0

    def __post_init__(self):
        if self.cells < 1 or self.cell < 1 or self.longest < 1:
            raise ValueError(f"cells, cell and longest must be at least 1, got {self}")

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(rows, columns) of all buckets: one more row or column would exceed the budget."""
        wide = {(rows, self.cells // rows) for rows in range(1, self.cells + 1)}
        full = {(self.cells // columns, columns) for _, columns in wide}
        return sorted(s for s in wide | full if max(s) <= self.longest * min(s)) or [(1, 1)]

    def shape(self, *, width: int, height: int) -> tuple[int, int]:
        """Returns (rows, columns) for an image; of two equally near shapes, the one with more cells."""
        target = log(width / height)
        return min(self.shapes, key=lambda s: (round(abs(log(s[1] / s[0]) - target), 9), -s[0] * s[1]))

    def __call__(self, image: Image.Image) -> Image.Image:
        rows, columns = self.shape(width=image.width, height=image.height)
        return Fit(rows * self.cell, columns * self.cell)(image)


class Resized(Source):
    """A source whose images are resized by `resize`."""

    def __init__(self, source: Source, resize: Resize):
        self.source, self.resize = source, resize
        self.faults = source.faults

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Document:
        return tuple(
            Segment("image", self.resize(as_rgb(segment.content)), segment.learn)
            if segment.modality == "image"
            else segment
            for segment in self.source[index]
        )
