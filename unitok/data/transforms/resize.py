"""Resizing: one size for all images, or buckets of aspect ratios. Knows no codes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import log

from PIL import Image, ImageOps

from unitok.data.source import Source
from unitok.document import Document, Segment
from unitok.pixels import as_rgb


class Resize(ABC):
    """A way to give pictures their size."""

    @abstractmethod
    def __call__(self, picture: Image.Image) -> Image.Image: ...


@dataclass(frozen=True)
class Fit(Resize):
    """Scaled until `height` x `width` pixels are just covered, then cut to them around the centre."""

    height: int
    width: int

    def __call__(self, picture: Image.Image) -> Image.Image:
        if picture.size == (self.width, self.height):
            return picture
        return ImageOps.fit(picture, (self.width, self.height), Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class Crop(Resize):
    """The `height` x `width` pixels around the centre, not scaled; what is smaller is enlarged first."""

    height: int
    width: int

    def __call__(self, picture: Image.Image) -> Image.Image:
        if picture.width < self.width or picture.height < self.height:
            return Fit(self.height, self.width)(picture)
        left, top = (picture.width - self.width) // 2, (picture.height - self.height) // 2
        return picture.crop((left, top, left + self.width, top + self.height))


@dataclass(frozen=True)
class Buckets(Resize):
    """`Fit` to the shape that is nearest in aspect ratio of those that have at most `cells` cells.

    Args:
        cells: the budget: codes of one picture, at one code a cell.
        cell: pixels a side of a cell.
        longest: the longer side in shorter ones, at most.

    Example:
        >>> Buckets(cells=64, cell=8).shape(width=640, height=320)
        (5, 12)
    """

    cells: int
    cell: int
    longest: float = 4.0

    def __post_init__(self):
        if self.cells < 1 or self.cell < 1 or self.longest < 1:
            raise ValueError(f"got {self}: cells, cell and longest are 1 or more")

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(rows, columns) of all buckets: with one row or column more each would be beyond the budget."""
        wide = {(rows, self.cells // rows) for rows in range(1, self.cells + 1)}
        full = {(self.cells // columns, columns) for _, columns in wide}
        return sorted(s for s in wide | full if max(s) <= self.longest * min(s)) or [(1, 1)]

    def shape(self, *, width: int, height: int) -> tuple[int, int]:
        """(rows, columns) for a picture; of two that are as near the one with more cells."""
        wanted = log(width / height)
        return min(self.shapes, key=lambda s: (round(abs(log(s[1] / s[0]) - wanted), 9), -s[0] * s[1]))

    def __call__(self, picture: Image.Image) -> Image.Image:
        rows, columns = self.shape(width=picture.width, height=picture.height)
        return Fit(rows * self.cell, columns * self.cell)(picture)


class Resized(Source):
    """A source whose pictures get their size by `resize`."""

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
