"""The judge of the shapes world: detects objects, checks images and captions.

Knows no model and no tokenizer: it sees pixels and words alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from unitok.worlds.connected_components import DISTANCE, Component, components, nearest_colour
from unitok.worlds.shapes.captions import captions, claim_holds, parse_caption
from unitok.worlds.shapes.pixels import coverage
from unitok.worlds.shapes.world import (
    BACKGROUND,
    COLOURS,
    SHAPES,
    SIZES,
    Scene,
    SceneObject,
    place_of,
    placed,
)

LEAST_AREA = 20.0  # pixels of a 64 × 64 canvas; smaller components are specks
STILL = 2.0  # pixels of a 64 × 64 canvas that an object may seem to move where it stays
TOLERANCE = 1.5  # pixels of a 64 × 64 canvas, for places and relations


@dataclass(frozen=True, slots=True)
class Found(SceneObject):
    """An object seen in a picture; `overlap` is the fit's intersection over union, 0..1."""

    overlap: float = 0.0


class Template(NamedTuple):
    """A shape and size, and its origin's offset (x, y) from the corner of the bank's window."""

    shape: str
    size: str
    x: float
    y: float


class Bank(NamedTuple):
    """Every template at every placement in a square window, one flat mask a row."""

    templates: list[Template]
    masks: Float32[np.ndarray, "templates pixels"]
    areas: Float32[np.ndarray, " templates"]
    side: int


def judge(image: UInt8[np.ndarray, "height width channels"]) -> list[Found]:
    """The objects of a picture: its foreground components, each with the best fitting shape and size."""
    canvas = len(image)
    if image.shape != (canvas, canvas, 3):
        raise ValueError(f"got a picture of shape {image.shape}, expected a square one (canvas, canvas, 3)")
    return [
        _fit(part, canvas)
        for part in components(image, BACKGROUND, least_area=LEAST_AREA * (canvas / 64) ** 2)
    ]


def satisfies(image_objects: Sequence[SceneObject], caption: str, canvas: int) -> bool:
    """Whether objects satisfy every statement of a caption and nothing else is there."""
    claim = parse_caption(caption)
    if claim is None:
        raise ValueError(f"{caption!r} is not a caption of this world, such as 'a small red circle'")
    return claim_holds(claim, image_objects, canvas, tolerance=TOLERANCE)


def picture_is_right(image: UInt8[np.ndarray, "height width channels"], caption: str) -> bool:
    """Whether a picture shows what a caption says, and nothing else."""
    return satisfies(judge(image), caption, len(image))


def edit_is_right(image: UInt8[np.ndarray, "height width channels"], before: Scene, after: Scene) -> bool:
    """Whether a picture shows the scene after an edit: the same objects by name and nothing else, each where
    it was; one that is new lies in the place that its centre has in `after`."""
    seen = judge(image)
    if sorted(item.name for item in seen) != sorted(item.name for item in after.objects):
        return False
    found = {item.name: item for item in seen}
    kept = {(item.x, item.y) for item in before.objects}
    return all(
        _near(found[item.name], item, after.canvas)
        if (item.x, item.y) in kept
        else placed(found[item.name], place_of(item, after.canvas), after.canvas, tolerance=TOLERANCE)
        for item in after.objects
    )


def _near(a: SceneObject, b: SceneObject, canvas: int) -> bool:
    return max(abs(a.x - b.x), abs(a.y - b.y)) <= STILL * canvas / 64


def caption_is_true(caption: str, scene: Scene) -> bool:
    """Whether a text is one of a scene's true captions, to the letter."""
    return caption in captions(scene)


def _fit(part: Component, canvas: int) -> Found:
    """The template that overlaps a component best, tried about the middle of its box."""
    colour = nearest_colour(part.colour, COLOURS)
    bank = _bank(colour, canvas)
    window, x, y = _centred(part.mask, bank.side)
    shared = bank.masks @ window.ravel()
    overlap = shared / (bank.areas + part.mask.sum() - shared)
    best = int(overlap.argmax())
    shape, size, origin_x, origin_y = bank.templates[best]
    origin = float(part.left + origin_x - x), float(part.top + origin_y - y)
    return Found(shape, colour, size, *origin, overlap=float(overlap[best]))


def _centred(mask: Bool[np.ndarray, "height width"], side: int) -> tuple[np.ndarray, int, int]:
    """A mask in the middle of a square window, cut where it is larger, and its corner (x, y) therein."""
    window = np.zeros((side, side), np.float32)
    y, x = ((side - length) // 2 for length in mask.shape)
    cut = mask[max(-y, 0) : max(-y, 0) + side, max(-x, 0) : max(-x, 0) + side]
    window[max(y, 0) : max(y, 0) + cut.shape[0], max(x, 0) : max(x, 0) + cut.shape[1]] = cut
    return window, x, y


@lru_cache(maxsize=64)
def _bank(colour: str, canvas: int) -> Bank:
    """Templates on half pixels about the window's middle, as the foreground that one colour makes."""
    side = 2 * ceil(max(SIZES.values()) * canvas / 64) + 4
    cutoff = DISTANCE / np.linalg.norm(np.subtract(COLOURS[colour], BACKGROUND))
    templates, masks = [], []
    for shape, size, dx, dy in product(SHAPES, SIZES, (0.0, 0.5), (0.0, 0.5)):
        soft = coverage(shape, size, canvas, dx=dx, dy=dy)
        mask = soft > cutoff
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        tight = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        window, x, y = _centred(tight, side)
        x, y = x + len(soft) / 2 + dx - columns[0], y + len(soft) / 2 + dy - rows[0]
        for down, right in product((-1, 0, 1), repeat=2):
            templates.append(Template(shape, size, x + right, y + down))
            masks.append(np.roll(window, (down, right), axis=(0, 1)).ravel())
    stacked = np.stack(masks)
    return Bank(templates, stacked, stacked.sum(axis=1), side)
