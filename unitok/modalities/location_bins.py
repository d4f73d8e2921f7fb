"""Bounding boxes and points as location bins: a fixed number of codes each. Knows no images and no joint
ids."""

from collections.abc import Sequence
from typing import Any

from unitok.modalities.bins import BinsModality
from unitok.modalities.geometry import Box, Point, write_box, write_point
from unitok.modalities.kinds import modality_kind

BINS = 1000


class LocationModality(BinsModality):
    """Coordinates in an image: one row per corner, with bins of 1 / `bins` of the image for x and y.

    Args:
        bins: number of bins per axis.
    """

    corners: int

    def __init__(self, bins: int = BINS):
        super().__init__(bins, low=(0.0, 0.0), high=(1.0, 1.0), rows=self.corners)

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
