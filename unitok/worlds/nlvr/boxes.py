"""Grey boxes with objects: sampled, parsed from an image, described. Knows no statements and no tokenizer.

A box is an image of 100 x 100 pixels. It holds either a tower of one to four blocks or one to seven
scattered objects.
"""

from collections.abc import Iterable
from random import Random
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from unitok.worlds.seeded import one_of

SIDE = 100
GROUND = (211, 211, 211)
COLOURS = {"black": (0, 0, 0), "blue": (0, 153, 255), "yellow": (255, 255, 0)}
SHAPES = ("circle", "square", "triangle")
SIZES = {10: "small", 20: "medium", 30: "large"}
TOWER_LEFT, BLOCK, STEP = 40, 20, 21
MAX_HEIGHT, MAX_ITEMS = 4, 7
WALL_SHARE = 0.18
"""Share of the scattered objects that touch the bottom, and of those that touch the right wall."""
SUBPIXELS = 4
MAX_COVERAGE = {"triangle": 0.63, "circle": 0.9, "square": 1.01}
"""Upper bounds of the share of its square that each shape covers: a half, .79, all of it."""


class Item(NamedTuple):
    """An object in a box: its look, and the top left corner of its square in pixels."""

    shape: str
    colour: str
    size: int
    left: int
    top: int

    @property
    def touching(self) -> tuple[str, ...]:
        """The sides of the box that the object touches."""
        gaps = {"left": self.left, "top": self.top}
        gaps |= {"bottom": SIDE - self.top - self.size, "right": SIDE - self.left - self.size}
        return tuple(side for side, gap in gaps.items() if gap == 0)


GreyBox = tuple[Item, ...]
"""The objects in a box; a tower from its base up."""


def is_tower(box: GreyBox) -> bool:
    """Whether all objects are blocks of one tower."""
    return all(item == _block(number, item.colour) for number, item in enumerate(box))


def _block(number: int, colour: str) -> Item:
    return Item("square", colour, BLOCK, TOWER_LEFT, SIDE - BLOCK - STEP * number)


# ---- words


def describe(box: GreyBox) -> str:
    """Describes the objects in a box.

    A tower by its colours from its base up; scattered objects by size, colour, shape and sides they touch,
    with similar ones side by side, so that they are easily counted.

    Example:
        >>> describe((Item("circle", "blue", 10, 50, 90), Item("square", "black", 30, 70, 0)))
        'large black square top right small blue circle bottom'
    """
    if is_tower(box):
        return " ".join(item.colour for item in box)
    return " ".join(" ".join((SIZES[i.size], i.colour, i.shape, *i.touching)) for i in in_order(box))


def in_order(items: Iterable[Item]) -> list[Item]:
    """Objects in the order of their description: similar ones side by side."""
    return sorted(items, key=lambda item: (item.colour, item.shape, item.size, item.touching))


# ---- images


def render_box(box: GreyBox) -> Image.Image:
    """Renders a box; slanted edges are soft."""
    image = Image.new("RGB", (SIDE, SIDE), GROUND)
    for item in box:
        mask = _mask(item.shape, item.size)
        image.paste(Image.new("RGB", mask.size, COLOURS[item.colour]), (item.left, item.top), mask)
    return image


def _mask(shape: str, size: int) -> Image.Image:
    """The share of each pixel that a shape covers."""
    side = size * SUBPIXELS
    mask = Image.new("L", (side, side), 255 if shape == "square" else 0)
    draw = ImageDraw.Draw(mask)
    if shape == "circle":
        draw.ellipse((0, 0, side - 1, side - 1), 255)
    if shape == "triangle":
        draw.polygon([(side // 2, 0), (side - 1, side - 1), (0, side - 1)], 255)
    return mask.resize((size, size), Image.Resampling.BOX)


def parse_box(image: Image.Image) -> GreyBox:
    """Parses the objects of a box from its flat colours: each connected component is an object.

    Raises:
        ValueError: the image has another size.
    """
    if image.size != (SIDE, SIDE):
        raise ValueError(f"a box must have {SIDE} x {SIDE} pixels, got {image.size}")
    pixels = np.asarray(image.convert("RGB")).astype(np.int32)
    difference = np.abs(pixels - GROUND).sum(axis=-1)
    labels, _ = ndimage.label(difference > 0)
    items = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        inside = labels[rows, columns] == number
        items.append(_item(pixels[rows, columns], inside, columns.start, rows.start))
    return tuple(sorted(items, key=lambda item: (-item.top, item.left)))


def _item(pixels: np.ndarray, inside: np.ndarray, left: int, top: int) -> Item:
    """The object that a connected component shows."""
    size = min(SIZES, key=lambda size: abs(size - max(inside.shape)))
    colour = min(COLOURS, key=lambda name: np.abs(np.median(pixels[inside], axis=0) - COLOURS[name]).sum())
    share = inside.sum() / inside.size
    shape = next(shape for shape, bound in MAX_COVERAGE.items() if share < bound)
    return Item(shape, colour, size, left, top)


# ---- sampling


def sample_boxes(rng: Random, *, towers: bool) -> tuple[GreyBox, GreyBox, GreyBox]:
    """Samples three boxes with towers or with scattered objects."""
    sample = _sample_tower if towers else _sample_scattered
    return sample(rng), sample(rng), sample(rng)


def _sample_tower(rng: Random) -> GreyBox:
    height = 1 + int(rng.random() * MAX_HEIGHT)
    return tuple(_block(number, one_of(rng, tuple(COLOURS))) for number in range(height))


def _sample_scattered(rng: Random) -> GreyBox:
    """Samples one to seven objects at least a pixel apart."""
    number, items = 1 + int(rng.random() * MAX_ITEMS), []
    while len(items) < number:
        item = _sample_item(rng)
        if all(_apart(item, other) for other in items):
            items.append(item)
    return tuple(sorted(items, key=lambda item: (-item.top, item.left)))


def _sample_item(rng: Random) -> Item:
    size = one_of(rng, tuple(SIZES))
    left, top = (
        SIDE - size if rng.random() < WALL_SHARE else int(rng.random() * (SIDE - size + 1)) for _ in range(2)
    )
    return Item(one_of(rng, SHAPES), one_of(rng, tuple(COLOURS)), size, left, top)


def _apart(a: Item, b: Item) -> bool:
    across = max(a.left - b.left - b.size, b.left - a.left - a.size)
    along = max(a.top - b.top - b.size, b.top - a.top - a.size)
    return max(across, along) >= 1
