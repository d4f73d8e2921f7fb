"""One door for pictures from outside: bytes or files become RGB. Knows no tensors and no data sets."""

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MOST_PIXELS = 64 * 2**20


class ImageError(ValueError):
    """A picture that cannot be read; the message names it and the reason."""


def load_image(
    source: str | Path | bytes | BinaryIO, *, name: str | None = None, most_pixels: int = MOST_PIXELS
) -> Image.Image:
    """A picture as RGB: upright by its EXIF tag, alpha on white, 16 bits scaled to 8, first frame only.

    `name` is what errors call a picture that has no path. Raises ImageError for a missing, damaged, foreign
    or larger file; its size is checked before it is decoded.
    """
    called = name or _name_of(source)
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > most_pixels:
                raise ImageError(f"{width} × {height} pixels, the most is {most_pixels} in all")
            return _as_rgb(ImageOps.exif_transpose(picture))
    except Exception as error:  # damaged files fail in every way there is
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            reason = f"not a picture of a known format ({', '.join(FORMATS)})"
        raise ImageError(f"{called}: {reason}") from error


def _name_of(source: str | Path | bytes | BinaryIO) -> str:
    if isinstance(source, bytes):
        return f"a picture of {len(source)} bytes"
    return str(getattr(source, "name", source)) if hasattr(source, "read") else str(source)


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        scaled = np.asarray(picture).astype(np.int64).clip(0, 65535) // 257
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")
