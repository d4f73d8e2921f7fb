"""Intersection over union of boxes, distance of points. Knows no model and no images.

Boxes are (left, top, right, bottom) of edges, points are (x, y); both in any unit, the same for all.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

Box = tuple[float, float, float, float]
Point = tuple[float, float]


class Boxes(NamedTuple):
    """Shares of 0..1 over the expressions that name something, and of the others those left without a box.

    `absent_accuracy` is None where every expression names something, the others where none does.
    """

    accuracy: float | None
    mean_iou: float | None
    absent_accuracy: float | None


class Points(NamedTuple):
    """Shares of 0..1 of points that hit, of things that are hit, and their harmonic mean."""

    precision: float
    recall: float
    f1: float


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1; 0 where they do not overlap or have no area."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    union = _area(a) + _area(b) - shared
    return shared / union if union > 0 else 0.0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def grounded(boxes: Sequence[Box | None], truth: Sequence[Box | None], *, least: float = 0.5) -> Boxes:
    """Accuracy and mean IoU of referring expressions; None is no box, or nothing that is named.

    A box is right where its IoU is at least `least` (Kazemzadeh et al. 2014; Yu et al. 2016, whose script
    counts the same .5). Where nothing is named, no box is right (N-acc of gRefCOCO, Liu et al. 2023).

    Raises:
        ValueError: the numbers of boxes differ or are 0.
    """
    if not boxes or len(boxes) != len(truth):
        raise ValueError(f"got {len(boxes)} boxes for {len(truth)} expressions")
    pairs = list(zip(boxes, truth, strict=True))
    found = [0.0 if box is None else iou(box, true) for box, true in pairs if true is not None]
    absent = [box is None for box, true in pairs if true is None]
    return Boxes(_mean([value >= least for value in found]), _mean(found), _mean(absent))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def inside(point: Point, box: Box) -> bool:
    """Whether a point lies in a box, its edges included."""
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def pointing_accuracy(points: Sequence[Point | None], truth: Sequence[Box]) -> float:
    """Share of single points that lie in their box (the pointing game, Zhang et al. 2016, section 4.1)."""
    if not points or len(points) != len(truth):
        raise ValueError(f"got {len(points)} points for {len(truth)} boxes")
    hits = [point is not None and inside(point, box) for point, box in zip(points, truth, strict=True)]
    return sum(hits) / len(hits)


def pointed(points: Sequence[Point], boxes: Sequence[Box]) -> Points:
    """How many of several points hit, each box counting once: points and boxes are matched one to one so
    that most points lie in theirs (as Molmo's pointing is scored, Deitke et al. 2024).

    Nothing pointed at where nothing is, is wholly right.
    """
    if not points or not boxes:
        return Points(*[float(not points and not boxes)] * 3)
    hit = np.array([[inside(point, box) for box in boxes] for point in points])
    hits = int(hit[linear_sum_assignment(~hit)].sum())
    return Points(hits / len(points), hits / len(boxes), 2 * hits / (len(points) + len(boxes)))
