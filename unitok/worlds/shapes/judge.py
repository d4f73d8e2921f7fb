"""The judge of the shapes world: detects objects, checks images and captions.

Knows no model and no tokenizer: it sees only pixels and words.
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
    is_placed,
    place_of,
)

MIN_AREA = 20.0  # pixels of a 64 × 64 canvas; smaller components are specks
MAX_SHIFT = 2.0  # pixels of a 64 × 64 canvas by which a detected object may differ from its true place
TOLERANCE = 1.5  # pixels of a 64 × 64 canvas, for places and relations


@dataclass(frozen=True, slots=True)
class DetectedObject(SceneObject):
    """An object detected in an image; `overlap` is the intersection over union of the fit, 0..1."""

    overlap: float = 0.0


class Template(NamedTuple):
    """A shape and size, with the offset (x, y) of its origin from the corner of the bank's window."""

    shape: str
    size: str
    x: float
    y: float


class Bank(NamedTuple):
    """All templates at all positions in a square window, as flat masks."""

    templates: list[Template]
    masks: Float32[np.ndarray, "templates pixels"]
    areas: Float32[np.ndarray, " templates"]
    side: int


def judge(image: UInt8[np.ndarray, "height width channels"]) -> list[DetectedObject]:
    """The objects in an image: its foreground components, each with the best fitting shape and size."""
    canvas = len(image)
    if image.shape != (canvas, canvas, 3):
        raise ValueError(f"image must be square, of shape (canvas, canvas, 3), got {image.shape}")
    parts = components(image, BACKGROUND, min_area=MIN_AREA * (canvas / 64) ** 2)
    return [_fit(part, canvas) for part in parts]


def satisfies(objects: Sequence[SceneObject], caption: str, canvas: int) -> bool:
    """Whether objects are exactly those of a caption and satisfy its place or relation."""
    claim = parse_caption(caption)
    if claim is None:
        raise ValueError(f"{caption!r} is not a caption of this world, such as 'a small red circle'")
    return claim_holds(claim, objects, canvas, tolerance=TOLERANCE)


def image_is_right(image: UInt8[np.ndarray, "height width channels"], caption: str) -> bool:
    """Whether an image shows what a caption says, and nothing else."""
    return satisfies(judge(image), caption, len(image))


def shows_scene(image: UInt8[np.ndarray, "height width channels"], scene: Scene) -> bool:
    """Whether an image shows the objects of a scene where they are, and nothing else."""
    objects = judge(image)
    return len(objects) == len(scene.objects) and all(
        any(found.name == item.name and _is_near(found, item, scene.canvas) for found in objects)
        for item in scene.objects
    )


def edit_is_right(image: UInt8[np.ndarray, "height width channels"], before: Scene, after: Scene) -> bool:
    """Whether an image shows the scene after an edit: the same objects by name and no others. Objects of the
    scene before must be where they were, a new object in the place that its centre has in `after`."""
    objects = judge(image)
    if sorted(item.name for item in objects) != sorted(item.name for item in after.objects):
        return False
    detected = {item.name: item for item in objects}
    old_centres = {(item.x, item.y) for item in before.objects}
    return all(
        _is_near(detected[item.name], item, after.canvas)
        if (item.x, item.y) in old_centres
        else is_placed(detected[item.name], place_of(item, after.canvas), after.canvas, tolerance=TOLERANCE)
        for item in after.objects
    )


def _is_near(a: SceneObject, b: SceneObject, canvas: int) -> bool:
    return max(abs(a.x - b.x), abs(a.y - b.y)) <= MAX_SHIFT * canvas / 64


def caption_is_true(caption: str, scene: Scene) -> bool:
    """Whether a text is one of a scene's true captions, to the letter."""
    return caption in captions(scene)


def _fit(part: Component, canvas: int) -> DetectedObject:
    """Fits the template that overlaps a component best, around the middle of its box."""
    colour = nearest_colour(part.colour, COLOURS)
    bank = _bank(colour, canvas)
    window, x, y = _center(part.mask, bank.side)
    intersection = bank.masks @ window.ravel()
    overlap = intersection / (bank.areas + part.mask.sum() - intersection)
    best = int(overlap.argmax())
    shape, size, origin_x, origin_y = bank.templates[best]
    origin = float(part.left + origin_x - x), float(part.top + origin_y - y)
    return DetectedObject(shape, colour, size, *origin, overlap=float(overlap[best]))


def _center(mask: Bool[np.ndarray, "height width"], side: int) -> tuple[np.ndarray, int, int]:
    """Centres a mask in a square window, cropped if larger; returns the window and the mask's corner."""
    window = np.zeros((side, side), np.float32)
    y, x = ((side - length) // 2 for length in mask.shape)
    crop = mask[max(-y, 0) : max(-y, 0) + side, max(-x, 0) : max(-x, 0) + side]
    window[max(y, 0) : max(y, 0) + crop.shape[0], max(x, 0) : max(x, 0) + crop.shape[1]] = crop
    return window, x, y


@lru_cache(maxsize=64)
def _bank(colour: str, canvas: int) -> Bank:
    """Templates at half pixels around the window's middle, as the foreground masks of one colour."""
    side = 2 * ceil(max(SIZES.values()) * canvas / 64) + 4
    cutoff = DISTANCE / np.linalg.norm(np.subtract(COLOURS[colour], BACKGROUND))
    templates, masks = [], []
    for shape, size, dx, dy in product(SHAPES, SIZES, (0.0, 0.5), (0.0, 0.5)):
        soft = coverage(shape, size, canvas, dx=dx, dy=dy)
        mask = soft > cutoff
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        tight = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        window, x, y = _center(tight, side)
        x, y = x + len(soft) / 2 + dx - columns[0], y + len(soft) / 2 + dy - rows[0]
        for down, right in product((-1, 0, 1), repeat=2):
            templates.append(Template(shape, size, x + right, y + down))
            masks.append(np.roll(window, (down, right), axis=(0, 1)).ravel())
    stacked = np.stack(masks)
    return Bank(templates, stacked, stacked.sum(axis=1), side)
