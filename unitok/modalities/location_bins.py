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
from unitok.modalities.geometry import Box, Point

BINS = 1000
OCTAVES = 8  # of waves that tell where a bin lies, the longest twice the picture


class LocationModality(Modality):
    """Coordinates, each as the number of the bin of 1 / `bins` of the picture that it falls into.

    A coordinate comes back as the middle of its bin, at most half a bin away. Bins are the same for x and y.

    Positions: a segment is a small grid of its own, a row a corner and a column an axis (x, y), so that both
    numbers of a corner share a row, and the same axis of two corners a column. They are not the picture's
    own rows and columns: a position would have to follow from a code's value and from the picture before it,
    and a modality's grid depends on a segment's shape alone.

    Args:
        bins: in which each axis is divided.
    """

    content: type
    corners: int

    def __init__(self, bins: int = BINS):
        if bins < 2:
            raise ValueError(f"an axis has 2 bins or more, not {bins}")
        self.size = bins

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of codes; the same for every segment."""
        return (2 * self.corners,)

    @property
    def largest_shape(self) -> tuple[int, ...]:
        return self.shape

    def header(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if tuple(shape) != self.shape:
            raise ValueError(f"a {self.name} has {self.shape} codes, not {tuple(shape)}")
        return ()

    def shape_of(self, header: Sequence[int]) -> tuple[int, ...]:
        return self.shape

    def encode(self, content: Any) -> tuple[Int64[Tensor, " n"], tuple[int, ...]]:
        if not isinstance(content, self.content):
            raise ValueError(
                f"a {self.name} segment holds a {self.content.__name__}, not {type(content).__name__}"
            )
        bins = [min(self.size - 1, int(value * self.size)) for value in content.numbers]
        return torch.tensor(bins), self.shape

    def decode(self, codes: Int64[Tensor, " n"], shape: tuple[int, ...]) -> Any:
        return self._content([(code + 0.5) / self.size for code in codes.tolist()])

    @abstractmethod
    def _content(self, numbers: Sequence[float]) -> Any:
        """What the coordinates stand for."""

    def grid(self, shape: tuple[int, ...]) -> Int64[Tensor, "n 3"]:
        return torch.cartesian_prod(
            torch.zeros(1, dtype=torch.long), torch.arange(self.corners), torch.arange(2)
        )

    def features(self) -> Float[Tensor, "n d"]:
        """Sines and cosines of where each bin lies, so that bins start near each other as they lie."""
        middles = (torch.arange(self.size) + 0.5) / self.size
        angles = middles[:, None] * math.pi * 2.0 ** torch.arange(OCTAVES)
        return torch.cat((angles.sin(), angles.cos()), dim=1)

    def fingerprint(self) -> str:
        return f"{self.name}:{self.size}"


class BoxModality(LocationModality):
    """Boxes as four codes: left, top, right, bottom. Corners in another order are sorted."""

    name, content, corners = "box", Box, 2

    def _content(self, numbers: Sequence[float]) -> Box:
        return Box.between(*numbers)


class PointModality(LocationModality):
    """Points as two codes: x, y."""

    name, content, corners = "point", Point, 1

    def _content(self, numbers: Sequence[float]) -> Point:
        return Point(*numbers)


LOCATIONS: dict[str, type[LocationModality]] = {kind.name: kind for kind in (BoxModality, PointModality)}
"""Kinds by name, as a model's config names them."""
