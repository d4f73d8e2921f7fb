"""Boxes and points in an image, and their textual form. Knows no codes and no pixels.

Coordinates are fractions of the image in 0..1, to the right and down from its top left corner. The image is
the one the model sees, so after a crop they refer to what remains.
"""

import html
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A place in an image. Raises ValueError outside 0..1."""

    x: float
    y: float

    def __post_init__(self):
        _check(self, self.numbers)

    @property
    def numbers(self) -> tuple[float, float]:
        """x, y."""
        return self.x, self.y

    def pixels(self, width: float, height: float) -> tuple[float, float]:
        """The coordinates in pixels of an image of this size."""
        return self.x * width, self.y * height


@dataclass(frozen=True)
class Box:
    """The edges of a rectangle in an image. Raises ValueError outside 0..1, or where edges are swapped."""

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self):
        _check(self, self.numbers)
        if self.left > self.right or self.top > self.bottom:
            raise ValueError(f"left must be at most right, and top at most bottom, got {self}")

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    def pixels(self, width: float, height: float) -> tuple[float, float, float, float]:
        """The coordinates in pixels of an image of this size."""
        return self.left * width, self.top * height, self.right * width, self.bottom * height

    @classmethod
    def between(cls, x0: float, y0: float, x1: float, y1: float) -> "Box":
        """The box of two opposite corners, in any order."""
        return cls(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))

    @classmethod
    def of_pixels(cls, edges: tuple[float, float, float, float], width: float, height: float) -> "Box":
        """The box of edges (left, top, right, bottom) in pixels of an image of this size, clipped to it."""
        left, top, right, bottom = edges
        across, down = ([_clip(v / side) for v in pair] for pair, side in
                        (((left, right), width), ((top, bottom), height)))  # fmt: skip
        return cls(across[0], down[0], across[1], down[1])


_CORNER = r"\(\s*(\d+(?:\.\d+)?)\s*,\s*(\d+(?:\.\d+)?)\s*\)"
_BOX = re.compile(rf"<box>\s*{_CORNER}\s*,\s*{_CORNER}\s*</box>")


def write_point(point: Point, name: str) -> str:
    """Format a point as text, in per cent of the image with one decimal, as Molmo does.

    Example:
        >>> write_point(Point(0.635, 0.445), "a cat")
        '<point x="63.5" y="44.5" alt="a cat">'
    """
    return f'<point x="{100 * point.x:.1f}" y="{100 * point.y:.1f}" alt="{html.escape(name)}">'


def write_box(box: Box) -> str:
    """Format a box as text, in whole thousandths of the image, as Qwen-VL does.

    Example:
        >>> write_box(Box(0.1, 0.25, 0.5, 1.0))
        '<box>(100,250),(500,1000)</box>'
    """
    left, top, right, bottom = (round(1000 * value) for value in box.numbers)
    return f"<box>({left},{top}),({right},{bottom})</box>"


def parse_boxes(text: str) -> list[Box]:
    """Returns the boxes in a text, in order; malformed ones, and those outside the image, are skipped."""
    boxes = ([float(number) / 1000 for number in match.groups()] for match in _BOX.finditer(text))
    return [Box.between(*numbers) for numbers in boxes if max(numbers) <= 1]


def _clip(share: float) -> float:
    return min(1.0, max(0.0, share))


def _check(location: object, numbers: tuple[float, ...]) -> None:
    if not all(0 <= value <= 1 for value in numbers):
        raise ValueError(f"coordinates must be in [0, 1], got {location}")
