"""Grey boxes with objects: sampled, parsed from an image, described. Knows no statements.

A box is a picture of 100 x 100 pixels. It holds either a tower of one to four blocks or one to seven things
that lie anywhere. Knows no sentence and no tokenizer.
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
HIGHEST, MOST = 4, 7
WALL_SHARE = 0.18
"""Of the things that lie anywhere, how many stand on the ground, and as many lean on the right wall."""
SUBPIXELS = 4
FILLED = {"triangle": 0.63, "circle": 0.9, "square": 1.01}
"""Most of its square that each shape covers: a half, .79, all of it."""


class Item(NamedTuple):
    """A thing of a box: its look, and the left top corner of its square in pixels."""

    shape: str
    colour: str
    size: int
    left: int
    top: int

    @property
    def touching(self) -> tuple[str, ...]:
        """The sides of the box that it touches."""
        gaps = {"left": self.left, "top": self.top}
        gaps |= {"bottom": SIDE - self.top - self.size, "right": SIDE - self.left - self.size}
        return tuple(side for side, gap in gaps.items() if gap == 0)


Box = tuple[Item, ...]
"""What a box holds; a tower from its base up."""


def is_tower(box: Box) -> bool:
    """Whether all of it stands in one pile."""
    return all(item == _block(number, item.colour) for number, item in enumerate(box))


def _block(number: int, colour: str) -> Item:
    return Item("square", colour, BLOCK, TOWER_LEFT, SIDE - BLOCK - STEP * number)


# ---- words


def told(box: Box) -> str:
    """What a box holds, in words.

    A tower's colours from its base up; else each thing by size, colour, shape and the sides that it touches,
    like ones side by side, so that they are easily counted.

    Example:
        >>> told((Item("circle", "blue", 10, 50, 90), Item("square", "black", 30, 70, 0)))
        'large black square top right small blue circle bottom'
    """
    if is_tower(box):
        return " ".join(item.colour for item in box)
    return " ".join(" ".join((SIZES[i.size], i.colour, i.shape, *i.touching)) for i in in_order(box))


def in_order(items: Iterable[Item]) -> list[Item]:
    """Things as they are told: like ones side by side."""
    return sorted(items, key=lambda item: (item.colour, item.shape, item.size, item.touching))


# ---- pictures


def drawn_box(box: Box) -> Image.Image:
    """The picture of a box, its edges soft where they are slanted."""
    picture = Image.new("RGB", (SIDE, SIDE), GROUND)
    for item in box:
        mask = _mask(item.shape, item.size)
        picture.paste(Image.new("RGB", mask.size, COLOURS[item.colour]), (item.left, item.top), mask)
    return picture


def _mask(shape: str, size: int) -> Image.Image:
    """How much of each pixel a shape covers."""
    wide = size * SUBPIXELS
    mask = Image.new("L", (wide, wide), 255 if shape == "square" else 0)
    draw = ImageDraw.Draw(mask)
    if shape == "circle":
        draw.ellipse((0, 0, wide - 1, wide - 1), 255)
    if shape == "triangle":
        draw.polygon([(wide // 2, 0), (wide - 1, wide - 1), (0, wide - 1)], 255)
    return mask.resize((size, size), Image.Resampling.BOX)


def read_box(picture: Image.Image) -> Box:
    """What the picture of a box holds, read off its flat colours: each connected part is a thing.

    Raises:
        ValueError: it has another size, or a part is none of the world's things.
    """
    if picture.size != (SIDE, SIDE):
        raise ValueError(f"the picture of a box has {SIDE} x {SIDE} pixels, not {picture.size}")
    pixels = np.asarray(picture.convert("RGB")).astype(np.int32)
    off = np.abs(pixels - GROUND).sum(axis=-1)
    labels, _ = ndimage.label(off > 0)
    items = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        inside = labels[rows, columns] == number
        items.append(_item(pixels[rows, columns], inside, columns.start, rows.start))
    return tuple(sorted(items, key=lambda item: (-item.top, item.left)))


def _item(pixels: np.ndarray, inside: np.ndarray, left: int, top: int) -> Item:
    """The thing that a connected part shows."""
    size = min(SIZES, key=lambda size: abs(size - max(inside.shape)))
    colour = min(COLOURS, key=lambda name: np.abs(np.median(pixels[inside], axis=0) - COLOURS[name]).sum())
    share = inside.sum() / inside.size
    return Item(next(shape for shape in FILLED if share < FILLED[shape]), colour, size, left, top)


# ---- drawing lots


def sample_boxes(rng: Random, *, towers: bool) -> tuple[Box, Box, Box]:
    """Three boxes with towers or with things that lie anywhere."""
    sample = _tower if towers else _scattered
    return sample(rng), sample(rng), sample(rng)


def _tower(rng: Random) -> Box:
    height = 1 + int(rng.random() * HIGHEST)
    return tuple(_block(number, one_of(rng, tuple(COLOURS))) for number in range(height))


def _scattered(rng: Random) -> Box:
    """One to seven things at least a pixel apart."""
    number, items = 1 + int(rng.random() * MOST), []
    while len(items) < number:
        item = _thing(rng)
        if all(_apart(item, other) for other in items):
            items.append(item)
    return tuple(sorted(items, key=lambda item: (-item.top, item.left)))


def _thing(rng: Random) -> Item:
    size = one_of(rng, tuple(SIZES))
    left, top = (
        SIDE - size if rng.random() < WALL_SHARE else int(rng.random() * (SIDE - size + 1)) for _ in range(2)
    )
    return Item(one_of(rng, SHAPES), one_of(rng, tuple(COLOURS)), size, left, top)


def _apart(a: Item, b: Item) -> bool:
    across = max(a.left - b.left - b.size, b.left - a.left - a.size)
    along = max(a.top - b.top - b.size, b.top - a.top - a.size)
    return max(across, along) >= 1
