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
from unitok.pixels import MOST_PIXELS, ImageError, as_mask, as_rgb, check_size, reason_of

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
"""How names of image files end."""


def load_image(
    source: str | Path | bytes | BinaryIO, *, name: str | None = None, most_pixels: int = MOST_PIXELS
) -> Image.Image:
    """A picture as RGB, as `as_rgb` reads it; of an animation the first frame.

    `name` is what errors call a picture that has no path. Raises ImageError for a missing, damaged, foreign
    or larger file; its size is checked before it is decoded, and so is what decoding it would cost.
    """
    return _loaded(source, name or _name_of(source), most_pixels, as_rgb)


def load_mask(
    source: str | Path | bytes | BinaryIO, *, name: str | None = None, most_pixels: int = MOST_PIXELS
) -> Image.Image:
    """A picture as a mask of 0 and 255, as `as_mask` reads it: white is what is transparent, or light.

    Arguments and errors are those of `load_image`.
    """
    return _loaded(source, name or _name_of(source), most_pixels, as_mask)


def _loaded(
    source: str | Path | bytes | BinaryIO, called: str, most_pixels: int, door: Callable[..., Image.Image]
) -> Image.Image:
    """A picture through a door. Every failure is an ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow: odd metadata, and sizes that are checked here
            with _opened(source, called) as file, _decoded(BoundedFile(file), called, most_pixels) as picture:
                return door(picture, name=called, most_pixels=most_pixels)
    except ImageError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(called, "missing file", reason_of(error)) from error
    except (TooCostly, Image.DecompressionBombError) as error:
        raise ImageError(called, "picture too large", str(error)) from error
    except Image.UnidentifiedImageError as error:
        if _is_empty(source):
            raise ImageError(called, "empty file", "not a picture: the file is empty") from error
        known = f"not a picture of a known format ({', '.join(FORMATS)})"
        raise ImageError(called, "not a picture", known) from error
    except Exception as error:  # damaged files fail in every way there is
        raise ImageError(called, "damaged picture", reason_of(error)) from error


def _opened(source: str | Path | bytes | BinaryIO, called: str) -> AbstractContextManager[BinaryIO | BytesIO]:
    """The file, which is closed afterwards where it was not open before; nobody waits for a pipe."""
    if isinstance(source, bytes):
        return BytesIO(source)
    if hasattr(source, "read"):
        return nullcontext(source)
    if not stat.S_ISREG(os.stat(source).st_mode):
        raise ImageError(called, "not a picture", "it is a folder, a pipe or a device")
    return open(source, "rb")


def _decoded(file: BoundedFile, called: str, most_pixels: int) -> Image.Image:
    """The picture of a file, each cost checked before it is paid."""
    file.check_tiles()
    picture = Image.open(file, formats=FORMATS)
    check_size(called, picture.size, most_pixels)
    if isinstance(picture, JpegImageFile):
        file.check_scans()
    file.load()
    picture.load()
    return picture


def _name_of(source: str | Path | bytes | BinaryIO) -> str:
    if isinstance(source, bytes):
        return f"a picture of {len(source)} bytes"
    return str(getattr(source, "name", source)) if hasattr(source, "read") else str(source)


def _is_empty(source: str | Path | bytes | BinaryIO) -> bool:
    if isinstance(source, bytes):
        return not source
    return not hasattr(source, "read") and Path(source).stat().st_size == 0
