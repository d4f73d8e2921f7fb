"""Renders scenes of the shapes world. Knows no sentences."""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, cos, pi, sin

import numpy as np
from jaxtyping import Float, UInt8

from unitok.worlds.shapes.world import BACKGROUND, COLOURS, SIZES, Scene

SUBPIXELS = 4


def coverage(
    shape: str, size: str, canvas: int, *, dx: float = 0.0, dy: float = 0.0
) -> Float[np.ndarray, "side side"]:
    """The share, 0..1, of each pixel covered by a shape whose origin is (dx, dy) from the square's middle."""
    radius = SIZES[size] * canvas / 64
    half = ceil(radius + max(abs(dx), abs(dy)))
    line = (np.arange(2 * half * SUBPIXELS) + 0.5) / SUBPIXELS - half
    x, y = (line - dx)[None, :] / radius, (line - dy)[:, None] / radius
    inside = x**2 + y**2 <= 1 if shape == "circle" else _in_polygon(_corners(shape), x, y)
    return inside.reshape(2 * half, SUBPIXELS, 2 * half, SUBPIXELS).mean(axis=(1, 3))


def _corners(shape: str) -> list[tuple[float, float]]:
    """The corners of a shape of radius 1 around its origin, y down."""
    if shape == "square":
        return [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]
    if shape == "triangle":
        return [(0.0, -1.0), (0.95, 0.8), (-0.95, 0.8)]
    radii = (1.0, 0.42) * 5
    return [(r * sin(i * pi / 5), -r * cos(i * pi / 5)) for i, r in enumerate(radii)]


def _in_polygon(corners: Sequence[tuple[float, float]], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Even-odd rule: a point is inside when a ray to its right crosses an odd number of edges."""
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y0 != y1:
            spans = (y0 <= y) != (y1 <= y)
            inside ^= spans & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


@lru_cache(maxsize=1024)
def _stamp(shape: str, colour: str, size: str, canvas: int) -> tuple[np.ndarray, np.ndarray]:
    """Sixteenths of the background to keep, and of the colour to add (with the rounding offset)."""
    sixteenths = np.rint(coverage(shape, size, canvas) * SUBPIXELS**2).astype(np.uint16)[..., None]
    return SUBPIXELS**2 - sixteenths, sixteenths * np.array(COLOURS[colour], np.uint16) + SUBPIXELS**2 // 2


@lru_cache(maxsize=16)
def _blank(canvas: int) -> np.ndarray:
    return np.full((canvas, canvas, 3), BACKGROUND, np.uint8)


def render(scene: Scene) -> UInt8[np.ndarray, "canvas canvas 3"]:
    """Renders a scene at 4 × and box-filters it; centres are whole pixels."""
    image = _blank(scene.canvas).copy()
    for item in scene.objects:
        keep, add = _stamp(item.shape, item.colour, item.size, scene.canvas)
        half = len(keep) // 2
        top, left = int(item.y) - half, int(item.x) - half
        if min(top, left) < 0 or max(top, left) + 2 * half > scene.canvas:
            raise ValueError(f"{item} does not lie inside a canvas of {scene.canvas} pixels")
        region = image[top : top + 2 * half, left : left + 2 * half]
        region[...] = (region * keep + add) >> 4
    return image
