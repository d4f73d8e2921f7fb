"""Intersection over union of boxes, hits of points. Knows no model and no images.

Boxes are edges (left, top, right, bottom), points are (x, y), all in the same unit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

Box = tuple[float, float, float, float]
Point = tuple[float, float]


class GroundingScores(NamedTuple):
    """Accuracy and mean IoU, 0..1, over expressions that refer to something, and the share of the others that
    rightly have no box.

    `absent_accuracy` is None if every expression refers to something, the others if none does.
    """

    accuracy: float | None
    mean_iou: float | None
    absent_accuracy: float | None


class PointingScores(NamedTuple):
    """Shares in 0..1 of points that hit (precision) and of objects that are hit (recall), and F1."""

    precision: float
    recall: float
    f1: float


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1; 0 if they do not overlap or have no area."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    intersection = width * height
    union = _area(a) + _area(b) - intersection
    return intersection / union if union > 0 else 0.0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def grounding_scores(
    boxes: Sequence[Box | None], truth: Sequence[Box | None], *, threshold: float = 0.5
) -> GroundingScores:
    """Scores predicted boxes of referring expressions; None is no box, in the truth nothing referred to.

    A box is right if its IoU is at least `threshold` (Kazemzadeh et al. 2014; the script of Yu et al. 2016
    also uses .5). Where the truth is None, only None is right (N-acc of gRefCOCO, Liu et al. 2023).

    Raises:
        ValueError: the counts of boxes differ or are 0.
    """
    if not boxes or len(boxes) != len(truth):
        raise ValueError(f"got {len(boxes)} boxes for {len(truth)} expressions")
    pairs = list(zip(boxes, truth, strict=True))
    overlaps = [0.0 if box is None else iou(box, true) for box, true in pairs if true is not None]
    absent = [box is None for box, true in pairs if true is None]
    right = [overlap >= threshold for overlap in overlaps]
    return GroundingScores(_mean(right), _mean(overlaps), _mean(absent))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def inside(point: Point, box: Box) -> bool:
    """Whether a point lies in a box, its edges included."""
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def pointing_scores(points: Sequence[Point], boxes: Sequence[Box]) -> PointingScores:
    """Scores the points of one image after matching points and boxes one to one with the most hits (as for
    Molmo's pointing, Deitke et al. 2024).

    Without points and boxes, all scores are 1.
    """
    if not points or not boxes:
        return PointingScores(*[float(not points and not boxes)] * 3)
    is_hit = np.array([[inside(point, box) for box in boxes] for point in points])
    hits = int(is_hit[linear_sum_assignment(~is_hit)].sum())
    return PointingScores(hits / len(points), hits / len(boxes), 2 * hits / (len(points) + len(boxes)))
