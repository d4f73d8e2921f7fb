"""Bounding boxes and points as location bins: a fixed number of codes each. Knows no images and no joint
ids."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.modalities.base import Modality
from unitok.modalities.geometry import Box, Point, write_box, write_point
from unitok.modalities.kinds import modality_kind

BINS = 1000
OCTAVES = 8  # frequencies of a bin's features; the longest wave is twice the image


class LocationModality(Modality):
    """Coordinates as the indices of location bins, each 1 / `bins` of the image.

    A coordinate is decoded as the middle of its bin, at most half a bin away. Bins are the same for x and y.

    Positions: a segment is a small grid of its own, with one row per corner and one column per axis (x, y).
    They are not the rows and columns of the image: then a position would depend on a code's value and on the
    preceding image, but a modality's grid depends on a segment's shape alone.

    Args:
        bins: number of bins per axis.
    """

    content: type
    corners: int

    def __init__(self, bins: int = BINS):
        if bins < 2:
            raise ValueError(f"bins must be at least 2, got {bins}")
        self.size = bins

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of every segment: its number of codes."""
        return (2 * self.corners,)

    @property
    def largest_shape(self) -> tuple[int, ...]:
        return self.shape

    def header(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if tuple(shape) != self.shape:
            raise ValueError(f"a {self.name} must have {self.shape} codes, got {tuple(shape)}")
        return ()

    def shape_of(self, header: Sequence[int]) -> tuple[int, ...]:
        return self.shape

    def encode(self, content: Any) -> tuple[Int64[Tensor, " n"], tuple[int, ...]]:
        if not isinstance(content, self.content):
            raise ValueError(
                f"a {self.name} segment must hold a {self.content.__name__}, got {type(content).__name__}"
            )
        bins = [min(self.size - 1, int(value * self.size)) for value in content.numbers]
        return torch.tensor(bins), self.shape

    def decode(self, codes: Int64[Tensor, " n"], shape: tuple[int, ...]) -> Any:
        return self._build([(code + 0.5) / self.size for code in codes.tolist()])

    @abstractmethod
    def _build(self, numbers: Sequence[float]) -> Any:
        """The content with these coordinates."""

    def grid(self, shape: tuple[int, ...]) -> Int64[Tensor, "n 3"]:
        return torch.cartesian_prod(
            torch.zeros(1, dtype=torch.long), torch.arange(self.corners), torch.arange(2)
        )

    def features(self) -> Float[Tensor, "n d"]:
        """Sines and cosines of each bin's position, so that embeddings of near bins start out similar."""
        middles = (torch.arange(self.size) + 0.5) / self.size
        angles = middles[:, None] * math.pi * 2.0 ** torch.arange(OCTAVES)
        return torch.cat((angles.sin(), angles.cos()), dim=1)

    def settings(self) -> dict[str, Any]:
        return {"bins": self.size}

    def fingerprint(self) -> str:
        return f"{self.name}:{self.size}"


@modality_kind
class BoxModality(LocationModality):
    """Boxes as four codes: left, top, right, bottom. Corners in another order are sorted."""

    name, content, corners = "box", Box, 2

    def _build(self, numbers: Sequence[float]) -> Box:
        return Box.between(*numbers)

    def as_text(self, content: Box) -> str:
        return write_box(content)


@modality_kind
class PointModality(LocationModality):
    """Points as two codes: x, y."""

    name, content, corners = "point", Point, 1

    def _build(self, numbers: Sequence[float]) -> Point:
        return Point(*numbers)

    def as_text(self, content: Point) -> str:
        return write_point(content, "")


LOCATIONS: dict[str, type[LocationModality]] = {kind.name: kind for kind in (BoxModality, PointModality)}
"""Location modalities by name, as in a model's config."""
