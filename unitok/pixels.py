"""Converts images of any mode to RGB, and masks to 0 or 255. Opens no file."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

MOST_PIXELS = 64 * 2**20


class ImageError(ValueError):
    """An image that cannot be read; the message names it, `detail` says why and `reason` in which way."""

    def __init__(self, called: str, reason: str, detail: str):
        self.reason = reason
        self.detail = detail
        super().__init__(f"{called}: {detail}")

    def __reduce__(self):
        called = str(self).removesuffix(f": {self.detail}")
        return ImageError, (called, self.reason, self.detail)


def as_rgb(image: Any, *, name: str | None = None, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """A PIL image as RGB: upright by its EXIF tag, transparency on white, 16 bits scaled to 8.

    An image that has been through here comes back as it is.

    Args:
        image: of any mode, also one whose file PIL has opened but not yet decoded.
        name: what errors call it; None is the file that PIL opened, if any.
        most_pixels: of more it is refused, before it is decoded.

    Raises:
        ImageError: it is damaged, too large, closed or empty.
        ValueError: it is no PIL image.
    """
    return _through(image, name, most_pixels, _rgb)


def as_mask(image: Any, *, name: str | None = None, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """A PIL image as a mask of 0 and 255: white is what is transparent, or light where nothing is.

    Arguments and errors are those of `as_rgb`.
    """
    return _through(image, name, most_pixels, _mask)


def _through(
    image: Any, name: str | None, most_pixels: int, finish: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """An image, checked, decoded, upright and finished."""
    if not isinstance(image, Image.Image):
        raise ValueError(
            f"an image must be a PIL image, got {type(image).__name__}: PIL.Image.open reads a file, "
            "PIL.Image.fromarray an array"
        )
    called = name or str(getattr(image, "filename", "") or "the image")
    check_size(called, image.size, most_pixels)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow: odd metadata
            image.load()
            return finish(_eight_bits(_upright(image)))
    except Exception as error:  # damaged files fail in every way there is
        raise ImageError(called, "damaged picture", reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """What an error of Pillow or of the system says, without numbers and names of files."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def check_size(called: str, size: tuple[int, int], most_pixels: int) -> None:
    """Raises ImageError for an image of more pixels, or of none."""
    width, height = size
    if width * height > most_pixels:
        detail = f"{width} × {height} pixels, the most is {most_pixels} in all"
        raise ImageError(called, "picture too large", detail)
    if not width * height:
        raise ImageError(called, "damaged picture", f"{width} × {height} pixels: there is nothing to see")


def _upright(image: Image.Image) -> Image.Image:
    """Turned by its EXIF tag; a damaged tag turns nothing."""
    try:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        return ImageOps.exif_transpose(image) if turned else image
    except Exception:
        return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """An image of bytes; of 16 bits, the value that is transparent stays so."""
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
    """Whole numbers of 16 bits, or fractions of 0..1 (if none is larger) or 0..255, as bytes."""
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
