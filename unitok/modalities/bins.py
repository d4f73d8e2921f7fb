"""Rows of numbers as the indices of bins, a fixed number of codes. Knows no images and no joint ids."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.modalities.base import Modality

OCTAVES = 8  # frequencies of a bin's features; the longest wave is twice the range


class BinsModality(Modality):
    """Rows of numbers, each as the index of one of `bins` equal bins between `low` and `high` of its axis.

    A number is decoded as the middle of its bin, at most half a bin away; a number outside its range as the
    middle of the end bin. The axes share their codes: the place of a code tells its axis.

    Positions: a segment is a small grid of its own, with one row per row of numbers and one column per axis.
    They are not the rows and columns of an image: then a position would depend on a code's value and on the
    preceding image, but a modality's grid depends on a segment's shape alone.

    Args:
        bins: number of bins per axis.
        low, high: range of each axis, in the unit of its numbers.
        rows: number of rows of a segment.
    """

    content: type
    """Type of the content; its `numbers` are those of all rows, one row after another."""

    def __init__(self, bins: int, low: Sequence[float], high: Sequence[float], *, rows: int = 1):
        if bins < 2:
            raise ValueError(f"bins must be at least 2, got {bins}")
        if rows < 1:
            raise ValueError(f"the {self.name} must have at least 1 row, got {rows}")
        if not low or len(low) != len(high):
            raise ValueError(f"low and high must have one number per axis, got {list(low)} and {list(high)}")
        for axis, (least, most) in enumerate(zip(low, high, strict=True)):
            if not -math.inf < least < most < math.inf:
                raise ValueError(f"low must be less than high, got {least} and {most} for axis {axis}")
        self.size, self.rows = bins, rows
        self.low, self.high = tuple(map(float, low)), tuple(map(float, high))

    @property
    def axes(self) -> int:
        """Numbers per row."""
        return len(self.low)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of every segment: its number of codes."""
        return (self.rows * self.axes,)

    @property
    def largest_shape(self) -> tuple[int, ...]:
        return self.shape

    def header(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if tuple(shape) != self.shape:
            raise ValueError(f"the {self.name} must have {self.shape} codes, got {tuple(shape)}")
        return ()

    def shape_of(self, header: Sequence[int]) -> tuple[int, ...]:
        return self.shape

    def encode(self, content: Any) -> tuple[Int64[Tensor, " n"], tuple[int, ...]]:
        if not isinstance(content, self.content):
            raise ValueError(
                f"the {self.name} must be a {self.content.__name__}, got {type(content).__name__}"
            )
        numbers = content.numbers
        if len(numbers) != self.rows * self.axes:
            raise ValueError(
                f"the {self.name} must have {self.rows} rows of {self.axes} numbers, got {content}"
            )
        ranges = zip(numbers, self.low * self.rows, self.high * self.rows, strict=True)
        return torch.tensor([self._bin(*number) for number in ranges]), self.shape

    def _bin(self, value: float, low: float, high: float) -> int:
        share = (min(max(value, low), high) - low) / (high - low)
        return min(self.size - 1, int(share * self.size))

    def decode(self, codes: Int64[Tensor, " n"], shape: tuple[int, ...]) -> Any:
        ranges = zip(codes.tolist(), self.low * self.rows, self.high * self.rows, strict=True)
        return self._build([low + (code + 0.5) / self.size * (high - low) for code, low, high in ranges])

    @abstractmethod
    def _build(self, numbers: Sequence[float]) -> Any:
        """The content with these numbers."""

    def grid(self, shape: tuple[int, ...]) -> Int64[Tensor, "n 3"]:
        return torch.cartesian_prod(
            torch.zeros(1, dtype=torch.long), torch.arange(self.rows), torch.arange(self.axes)
        )

    def features(self) -> Float[Tensor, "n d"]:
        """Sines and cosines of each bin's position, so that embeddings of near bins start out similar."""
        middles = (torch.arange(self.size) + 0.5) / self.size
        angles = middles[:, None] * math.pi * 2.0 ** torch.arange(OCTAVES)
        return torch.cat((angles.sin(), angles.cos()), dim=1)

    def fingerprint(self) -> str:
        return f"{self.name}:{self.size}:{self.low}:{self.high}:{self.rows}"
