"""The judge of easy-VQA's images: one coloured circle, rectangle or triangle on a pale background.

Knows no model and no tokenizer: it sees only pixels and words.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from unitok.document import Document
from unitok.worlds.connected_components import Component, components, nearest_colour

SHAPES = ("circle", "rectangle", "triangle")
PALETTE = {  # palette() of the training images
    "black": (0, 0, 0),
    "blue": (0, 0, 255),
    "brown": (165, 42, 42),
    "gray": (128, 128, 128),
    "green": (0, 255, 0),
    "red": (255, 0, 0),
    "teal": (0, 128, 128),
    "yellow": (255, 255, 0),
}
MIN_AREA = 16.0  # pixels; the smallest shapes have 8 × 8, and a triangle half of that
_CAPTION = re.compile(f"a ({'|'.join(PALETTE)}) ({'|'.join(SHAPES)})")


@dataclass(frozen=True, slots=True)
class DetectedObject:
    """The object in an image; `box` is (x0, y0, x1, y1) in pixel edges, `overlap` the fit's IoU, 0..1."""

    shape: str
    colour: str
    box: tuple[int, int, int, int]
    overlap: float


def judge(image: UInt8[np.ndarray, "height width 3"]) -> DetectedObject | None:
    """The object in an image, or None if there is none or several."""
    parts = components(image, background(image), min_area=MIN_AREA)
    return _fit(parts[0]) if len(parts) == 1 else None


def matches(image: UInt8[np.ndarray, "height width 3"], caption: str) -> bool:
    """Whether an image shows what a caption such as "a red triangle" says, and nothing else."""
    colour_and_shape = parse_caption(caption)
    detected = judge(image)
    return detected is not None and (detected.colour, detected.shape) == colour_and_shape


def parse_caption(caption: str) -> tuple[str, str]:
    """Colour and shape of a caption. Raises ValueError unless it is like "a red triangle"."""
    match = _CAPTION.fullmatch(caption)
    if match is None:
        raise ValueError(f"{caption!r} is not a caption of easy-VQA, such as 'a red triangle'")
    return match[1], match[2]


def background(image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "3"]:
    """The background's RGB: the median, since a shape covers less than half of an image."""
    return np.median(image.reshape(-1, 3), axis=0)


def palette(documents: Iterable[Document]) -> dict[str, tuple[int, int, int]]:
    """Measures each colour's RGB on captioned images: the median over images of the foreground's median."""
    samples = defaultdict(list)
    for text, segment in documents:
        image = np.asarray(segment.content)
        parts = components(image, background(image), min_area=MIN_AREA)
        samples[text.content.split()[1]] += [part.colour for part in parts]
    return {name: tuple(int(c) for c in np.median(samples[name], axis=0)) for name in sorted(samples)}


def _fit(part: Component) -> DetectedObject:
    """Fits the shape that overlaps a component best when drawn into its box."""
    height, width = part.mask.shape
    overlaps = [_overlap(part.mask, _template(shape, height, width)) for shape in SHAPES]
    best = int(np.argmax(overlaps))
    box = (part.left, part.top, part.left + width, part.top + height)
    return DetectedObject(SHAPES[best], nearest_colour(part.colour, PALETTE), box, overlaps[best])


def _template(shape: str, height: int, width: int) -> Bool[np.ndarray, "height width"]:
    """The pixels of a box whose centres lie in the ellipse, rectangle or upright triangle that fills it."""
    y = ((np.arange(height) + 0.5) / height)[:, None]
    x = np.abs((np.arange(width) + 0.5) / width * 2 - 1)[None, :]
    if shape == "circle":
        return x**2 + (2 * y - 1) ** 2 <= 1
    return np.broadcast_to(x <= y, (height, width)) if shape == "triangle" else np.ones((height, width), bool)


def _overlap(a: Bool[np.ndarray, "height width"], b: Bool[np.ndarray, "height width"]) -> float:
    """Intersection over union."""
    return float((a & b).sum() / (a | b).sum())
