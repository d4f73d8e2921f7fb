"""Opens images from paths or bytes as RGB; errors name the reason. Knows no tensors and no data sets."""

import os
import stat
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from unitok.data.files.bounded_file import BoundedFile, TooCostly
from unitok.pixels import MAX_PIXELS, ImageError, as_mask, as_rgb, check_size, describe_error

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
"""Suffixes of image files."""


def load_image(
    source: str | Path | bytes | BinaryIO, *, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Loads an image as RGB, by `as_rgb`; of an animation, the first frame.

    `name` stands for an image without a path in errors. Raises ImageError for a missing, corrupt, unsupported
    or larger file; its size and the cost of decoding are checked before it is decoded.
    """
    return _load(source, name or _name_of(source), max_pixels, as_rgb)


def load_mask(
    source: str | Path | bytes | BinaryIO, *, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Loads an image as a mask of 0 and 255, by `as_mask`: transparent or light pixels are 255.

    Arguments and errors are those of `load_image`.
    """
    return _load(source, name or _name_of(source), max_pixels, as_mask)


def _load(
    source: str | Path | bytes | BinaryIO, name: str, max_pixels: int, convert: Callable[..., Image.Image]
) -> Image.Image:
    """Loads and converts an image. Every failure is an ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on odd metadata, and on sizes, which are checked here
            with _open(source, name) as file, _decode(BoundedFile(file), name, max_pixels) as image:
                return convert(image, name=name, max_pixels=max_pixels)
    except ImageError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(name, "missing file", describe_error(error)) from error
    except (TooCostly, Image.DecompressionBombError) as error:
        raise ImageError(name, "picture too large", str(error)) from error
    except Image.UnidentifiedImageError as error:
        if _is_empty(source):
            raise ImageError(name, "empty file", "not an image: the file is empty") from error
        detail = f"not an image of a known format ({', '.join(FORMATS)})"
        raise ImageError(name, "not a picture", detail) from error
    except Exception as error:  # corrupt files raise errors of any kind
        raise ImageError(name, "damaged picture", describe_error(error)) from error


def _open(source: str | Path | bytes | BinaryIO, name: str) -> AbstractContextManager[BinaryIO | BytesIO]:
    """Opens a file, to be closed unless it was already open; refuses pipes, which may block forever."""
    if isinstance(source, bytes):
        return BytesIO(source)
    if hasattr(source, "read"):
        return nullcontext(source)
    if not stat.S_ISREG(os.stat(source).st_mode):
        raise ImageError(name, "not a picture", "it is a folder, a pipe or a device")
    return open(source, "rb")


def _decode(file: BoundedFile, name: str, max_pixels: int) -> Image.Image:
    """Decodes a file, checking each cost before it is incurred."""
    file.check_tiles()
    image = Image.open(file, formats=FORMATS)
    check_size(name, image.size, max_pixels)
    if isinstance(image, JpegImageFile):
        file.check_scans()
    file.begin_loading()
    image.load()
    return image


def _name_of(source: str | Path | bytes | BinaryIO) -> str:
    if isinstance(source, bytes):
        return f"an image of {len(source)} bytes"
    return str(getattr(source, "name", source)) if hasattr(source, "read") else str(source)


def _is_empty(source: str | Path | bytes | BinaryIO) -> bool:
    if isinstance(source, bytes):
        return not source
    return not hasattr(source, "read") and Path(source).stat().st_size == 0
