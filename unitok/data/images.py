"""One door for pictures from outside: bytes or files become RGB. Knows no tensors and no data sets."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from unitok.data.bounded_file import BoundedFile, TooCostly
from unitok.data.faults import Reason

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MOST_PIXELS = 64 * 2**20


class ImageError(ValueError):
    """A picture that cannot be read; the message names it, `detail` says why and `reason` in which way."""

    def __init__(self, called: str, reason: Reason, detail: str):
        self.reason: Reason = reason
        self.detail = detail
        super().__init__(f"{called}: {detail}")

    def __reduce__(self):
        called = str(self).removesuffix(f": {self.detail}")
        return ImageError, (called, self.reason, self.detail)


class _TooLarge(ValueError):
    pass


def load_image(
    source: str | Path | bytes | BinaryIO, *, name: str | None = None, most_pixels: int = MOST_PIXELS
) -> Image.Image:
    """A picture as RGB: upright by its EXIF tag, alpha on white, 16 bits scaled to 8, first frame only.

    `name` is what errors call a picture that has no path. Raises ImageError for a missing, damaged, foreign
    or larger file; its size is checked before it is decoded, and so is what decoding it would cost.
    """
    return _loaded(source, name or _name_of(source), most_pixels, _as_rgb)


def load_mask(
    source: str | Path | bytes | BinaryIO, *, name: str | None = None, most_pixels: int = MOST_PIXELS
) -> Image.Image:
    """A picture as a mask of 0 and 255: white is what is transparent, or light where nothing is.

    Arguments and errors are those of `load_image`.
    """
    return _loaded(source, name or _name_of(source), most_pixels, _as_mask)


def _loaded(
    source: str | Path | bytes | BinaryIO,
    called: str,
    most_pixels: int,
    finish: Callable[[Image.Image], Image.Image],
) -> Image.Image:
    """A picture, upright and finished. Every failure is an ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow: odd metadata, and sizes that are checked here
            with _opened(source) as file:
                return finish(_load(BoundedFile(file), most_pixels))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(called, "missing file", error.strerror or str(error)) from error
    except (_TooLarge, TooCostly, Image.DecompressionBombError) as error:
        raise ImageError(called, "picture too large", str(error)) from error
    except Image.UnidentifiedImageError as error:
        if _is_empty(source):
            raise ImageError(called, "empty file", "not a picture: the file is empty") from error
        known = f"not a picture of a known format ({', '.join(FORMATS)})"
        raise ImageError(called, "not a picture", known) from error
    except Exception as error:  # damaged files fail in every way there is
        detail = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ImageError(called, "damaged picture", detail) from error


def _opened(source: str | Path | bytes | BinaryIO) -> AbstractContextManager[BinaryIO | BytesIO]:
    """The file, which is closed afterwards where it was not open before."""
    if isinstance(source, bytes):
        return BytesIO(source)
    return nullcontext(source) if hasattr(source, "read") else open(source, "rb")


def _load(file: BoundedFile, most_pixels: int) -> Image.Image:
    file.check_tiles()
    with Image.open(file, formats=FORMATS) as picture:
        width, height = picture.size
        if width * height > most_pixels:
            raise _TooLarge(f"{width} × {height} pixels, the most is {most_pixels} in all")
        if isinstance(picture, JpegImageFile):
            file.check_scans()
        file.load()
        picture.load()
        return _upright(picture)


def _name_of(source: str | Path | bytes | BinaryIO) -> str:
    if isinstance(source, bytes):
        return f"a picture of {len(source)} bytes"
    return str(getattr(source, "name", source)) if hasattr(source, "read") else str(source)


def _is_empty(source: str | Path | bytes | BinaryIO) -> bool:
    if isinstance(source, bytes):
        return not source
    return not hasattr(source, "read") and Path(source).stat().st_size == 0


def _upright(picture: Image.Image) -> Image.Image:
    """Turned by its EXIF tag; a damaged tag turns nothing."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:
        return picture


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _as_mask(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:
        return picture.convert("RGBA").getchannel("A").point(lambda alpha: 255 * (alpha < 128))
    return _as_rgb(picture).convert("L").point(lambda light: 255 * (light >= 128))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Whole numbers of 16 bits, or fractions of 0..1 (if none is larger) or 0..255, as bytes."""
    if values.dtype.kind == "f":
        values = np.nan_to_num(values)
        scale = 255 if values.size and values.max() <= 1 else 1
        return (values * scale).clip(0, 255).round().astype(np.uint8)
    return (np.clip(values, 0, 65535) // 257).astype(np.uint8)
