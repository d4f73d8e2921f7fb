"""Converts images of any mode to RGB, and masks to 0 or 255; resizes and crops. Opens no file."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

MAX_PIXELS = 64 * 2**20
Edges = tuple[float, float, float, float]
"""Left, top, right, bottom."""


class ImageError(ValueError):
    """Raised for an unreadable image; the message names it, `reason` the kind of fault, `detail` why."""

    def __init__(self, name: str, reason: str, detail: str):
        self.reason = reason
        self.detail = detail
        super().__init__(f"{name}: {detail}")

    def __reduce__(self):
        name = str(self).removesuffix(f": {self.detail}")
        return ImageError, (name, self.reason, self.detail)


def as_rgb(image: Any, *, name: str | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Converts a PIL image to RGB: rotated by its EXIF tag, transparency on white, 16 bits scaled to 8.

    Converting an image twice changes nothing.

    Args:
        image: a PIL image of any mode, decoded or not.
        name: its name in errors; by default the file that PIL opened, if any.
        max_pixels: a larger image is refused before it is decoded.

    Raises:
        ImageError: the image is corrupt, too large, closed or empty.
        ValueError: it is not a PIL image.
    """
    return _convert(image, name, max_pixels, _rgb)


def as_mask(image: Any, *, name: str | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Converts a PIL image to a mask of 0 and 255: transparent pixels, or light ones without any, are 255.

    Arguments and errors are those of `as_rgb`.
    """
    return _convert(image, name, max_pixels, _mask)


def crop_to(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resizes an image to cover a size (height, width) in pixels, and crops its centre."""
    height, width = size
    if image.size == (width, height):
        return image
    return ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)


def crop_edges(image: Image.Image, size: tuple[int, int]) -> Edges:
    """Edges, in pixels of the image, of what `crop_to` this size (height, width) keeps of it."""
    height, width = size
    scale = min(image.width / width, image.height / height)
    left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
    return left, top, image.width - left, image.height - top


def _convert(
    image: Any, name: str | None, max_pixels: int, finish: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Checks, decodes, rotates and converts an image."""
    if not isinstance(image, Image.Image):
        raise ValueError(
            f"an image must be a PIL image, got {type(image).__name__}: PIL.Image.open reads a file, "
            "PIL.Image.fromarray an array"
        )
    name = name or str(getattr(image, "filename", "") or "the image")
    check_size(name, image.size, max_pixels)
    try:
        if _is_plain(image):
            return finish(image)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on odd metadata
            image.load()
            return finish(_to_eight_bits(_rotate(image)))
    except Exception as error:  # corrupt files raise errors of any kind
        raise ImageError(name, "damaged picture", describe_error(error)) from error


def _is_plain(image: Image.Image) -> bool:
    """Whether an image is RGB in memory, without metadata: a set has many, and looking for some takes longer
    than a copy."""
    return type(image) is Image.Image and image.mode == "RGB" and not image.info and image._exif is None


def describe_error(error: Exception) -> str:
    """The message of an error of Pillow or the system, without its number and file name."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def check_size(name: str, size: tuple[int, int], max_pixels: int) -> None:
    """Raises ImageError for an image with too many pixels, or none."""
    width, height = size
    if width * height > max_pixels:
        detail = f"{width} × {height} pixels, at most {max_pixels} in total are allowed"
        raise ImageError(name, "picture too large", detail)
    if not width * height:
        raise ImageError(name, "damaged picture", f"{width} × {height} pixels: the image is empty")


def _rotate(image: Image.Image) -> Image.Image:
    """Rotates an image by its EXIF tag; a corrupt tag is ignored."""
    try:
        rotated = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        return ImageOps.exif_transpose(image) if rotated else image
    except Exception:
        return image


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scales 16 bits to 8, keeping the transparent value."""
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image.convert(image.mode.upper()) if image.mode == "La" else image
    values = np.asarray(image)
    scaled = Image.fromarray(_as_bytes(values))
    if "transparency" in image.info:
        scaled.putalpha(
            Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8))
        )
    return scaled


def _as_bytes(values: np.ndarray) -> np.ndarray:
    """Converts to bytes: integers of 16 bits, or floats in 0..1 (if none is larger) or 0..255."""
    if values.dtype.kind == "f":
        values = np.nan_to_num(values)
        scale = 255 if values.size and values.max() <= 1 else 1
        return (values * scale).clip(0, 255).round().astype(np.uint8)
    return (np.clip(values, 0, 65535) // 257).astype(np.uint8)


def _rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _mask(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema()[0] < 255:
            return alpha.point(lambda value: 255 * (value < 128))
    return _rgb(image).convert("L").point(lambda light: 255 * (light >= 128))
