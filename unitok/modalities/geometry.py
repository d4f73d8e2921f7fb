"""Boxes and points in an image, and their textual form. Knows no codes and no pixels.

Coordinates are shares of the picture, 0..1, from its top left corner to the right and down; the picture is
what the model sees, so where it crops one, they belong to what is left.
"""

import html
import re
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Point:
    """A place in a picture. Raises ValueError outside 0..1."""

    x: float
    y: float

    def __post_init__(self):
        _check(self, (self.x, self.y))

    @property
    def numbers(self) -> tuple[float, float]:
        """x, y."""
        return self.x, self.y

    def pixels(self, width: float, height: float) -> tuple[float, float]:
        """The same in a picture of this size."""
        return self.x * width, self.y * height


@dataclass(frozen=True)
class Box:
    """A rectangle's edges in a picture. Raises ValueError outside 0..1 or where edges have changed sides."""

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self):
        _check(self, self.numbers)
        if self.left > self.right or self.top > self.bottom:
            raise ValueError(f"left and top come before right and bottom: {self}")

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    def pixels(self, width: float, height: float) -> tuple[float, float, float, float]:
        """The same in a picture of this size."""
        return self.left * width, self.top * height, self.right * width, self.bottom * height

    @classmethod
    def between(cls, x0: float, y0: float, x1: float, y1: float) -> "Box":
        """The box of two opposite corners, in whichever order."""
        return cls(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))

    @classmethod
    def of_pixels(cls, edges: tuple[float, float, float, float], width: float, height: float) -> "Box":
        """Edges (left, top, right, bottom) in a picture of this size; what lies outside is cut off."""
        left, top, right, bottom = edges
        across, down = ([_cut(v / side) for v in pair] for pair, side in
                        (((left, right), width), ((top, bottom), height)))  # fmt: skip
        return cls(across[0], down[0], across[1], down[1])


class Named(NamedTuple):
    """A point that a text names."""

    point: Point
    name: str


_POINT = re.compile(r"<point\s([^<>]*?)/?>")
_ATTRIBUTE = re.compile(r'(\w+)\s*=\s*"([^"]*)"')
_CORNER = r"\(\s*(\d+(?:\.\d+)?)\s*,\s*(\d+(?:\.\d+)?)\s*\)"
_BOX = re.compile(rf"<box>\s*{_CORNER}\s*,\s*{_CORNER}\s*</box>")


def write_point(point: Point, name: str) -> str:
    """A point as text, in hundredths of the picture with one decimal, as Molmo writes them.

    Example:
        >>> write_point(Point(0.635, 0.445), "a cat")
        '<point x="63.5" y="44.5" alt="a cat">'
    """
    return f'<point x="{100 * point.x:.1f}" y="{100 * point.y:.1f}" alt="{html.escape(name)}">'


def parse_points(text: str) -> list[Named]:
    """The points in a text, in order; what is no point or lies outside the picture is passed over."""
    return [named for match in _POINT.finditer(text) if (named := _named(match[1]))]


def _named(attributes: str) -> Named | None:
    found = dict(_ATTRIBUTE.findall(attributes))
    try:
        point = Point(float(found["x"]) / 100, float(found["y"]) / 100)
    except (KeyError, ValueError):
        return None
    return Named(point, html.unescape(found.get("alt", "")))


def write_box(box: Box) -> str:
    """A box as text, in whole thousandths of the picture, as Qwen-VL writes them.

    Example:
        >>> write_box(Box(0.1, 0.25, 0.5, 1.0))
        '<box>(100,250),(500,1000)</box>'
    """
    left, top, right, bottom = (round(1000 * value) for value in box.numbers)
    return f"<box>({left},{top}),({right},{bottom})</box>"


def parse_boxes(text: str) -> list[Box]:
    """The boxes in a text, in order; what is no box or lies outside the picture is passed over."""
    found = ([float(number) / 1000 for number in match.groups()] for match in _BOX.finditer(text))
    return [Box.between(*numbers) for numbers in found if max(numbers) <= 1]


def _cut(share: float) -> float:
    return min(1.0, max(0.0, share))


def _check(place: object, numbers: tuple[float, ...]) -> None:
    if not all(0 <= value <= 1 for value in numbers):
        raise ValueError(f"coordinates are shares of the picture, 0 to 1: {place}")
