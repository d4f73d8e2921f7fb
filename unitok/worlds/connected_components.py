"""Connected components of an image's foreground. Knows no shapes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

DISTANCE = 60.0  # Euclidean RGB distance from the background above which a pixel is foreground


class Component(NamedTuple):
    """A 4-connected component: its mask within its box, the box's corner in pixels, its median RGB."""

    mask: Bool[np.ndarray, "height width"]
    left: int
    top: int
    colour: Float[np.ndarray, "3"]


def foreground(
    image: UInt8[np.ndarray, "height width 3"], background: Sequence[float] | np.ndarray
) -> Bool[np.ndarray, "height width"]:
    """The pixels further than 60 (Euclidean RGB) from the background colour."""
    difference = image.astype(np.float32) - np.asarray(background, np.float32)
    return (difference * difference).sum(axis=-1) > DISTANCE**2


def components(
    image: UInt8[np.ndarray, "height width 3"], background: Sequence[float] | np.ndarray, *, min_area: float
) -> list[Component]:
    """The foreground's 4-connected components of at least `min_area` pixels."""
    labels, _ = ndimage.label(foreground(image, background))
    result = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        mask = labels[box] == number
        if mask.sum() >= min_area:
            result.append(Component(mask, box[1].start, box[0].start, np.median(image[box][mask], axis=0)))
    return result


def nearest_colour(colour: Float[np.ndarray, "3"], palette: dict[str, tuple[int, int, int]]) -> str:
    """The name of the palette's colour nearest to an RGB value."""
    return min(palette, key=lambda name: float(((colour - palette[name]) ** 2).sum()))
