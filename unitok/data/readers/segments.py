"""From the fields of a record to segments: images by file or bytes, texts, names. Knows no format."""

import math
import os
import re
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any
from unicodedata import normalize

from unitok.data.faults import SampleError
from unitok.data.files.images import PICTURES, ImageError, load_image
from unitok.document import Segment

MOST_TEXT = 2**20
"""Bytes of a text, or of a sample's metadata, that are read; tokenizers accept fewer."""

MOST_NAME, MOST_PATH = 255, 2048
"""Bytes of a file's name, and of one with its folders, that file systems take."""

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
IMAGE_NAME = re.compile(rf"[^\n]{{0,4096}}({'|'.join(map(re.escape, PICTURES))})(\?\S*)?", re.IGNORECASE)
"""What the name or URL of an image looks like."""
BASE64 = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "data:image/")
"""How images begin that are written as text, which is not read."""
SHORTEST_BASE64 = 60
"""Letters; the smallest images have more, and names are seldom so long."""


def picture(
    content: str | Path | bytes, *, path: str | Path, offset: int | None = None, learn: bool = True
) -> Segment:
    """An image segment of a file or of bytes; `path` and `offset` say in a fault where it lies."""
    try:
        return Segment("image", load_image(content, name=str(path)), learn)
    except ImageError as error:
        raise SampleError(error.reason, path, error.detail, offset=offset) from error


def holds_image(value: Any) -> bool:
    """Whether a cell looks like an image: bytes, also with a path, a name or URL, or a list of such."""
    if isinstance(value, list):
        return any(map(holds_image, value))
    if isinstance(value, dict):
        return "bytes" in value and value.keys() <= {"bytes", "path"}
    if isinstance(value, str):
        return value.startswith(BASE64) or IMAGE_NAME.fullmatch(value) is not None
    return isinstance(value, bytes)


def names_no_image(value: Any) -> bool:
    """Whether a cell says that there is no image: null, an empty name, or null in all that HF has of one."""
    if isinstance(value, dict):
        return all(names_no_image(one) for one in value.values())
    return value is None or (isinstance(value, str) and not value.strip())


def is_missing(value: Any) -> bool:
    """Whether a cell has no value: null, or a number that is none."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def text(
    content: Any, *, path: str | Path, offset: int | None = None, learn: bool = True, empty: bool = False
) -> Segment:
    """A text segment of a string or of UTF-8 bytes, without the white space around it.

    Numbers are written out; NaN and infinity are none. Raises SampleError where nothing is left, unless it
    may be `empty`.
    """
    if isinstance(content, bytes):
        if len(content) > MOST_TEXT:
            raise SampleError("text too large", path, f"{len(content)} bytes", offset=offset)
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SampleError("not UTF-8", path, f"not UTF-8: {error}", offset=offset) from error
    if is_missing(content):
        raise SampleError("no caption", path, "" if content is None else f"it is {content}", offset=offset)
    if isinstance(content, (int, float)) and not isinstance(content, bool):
        content = str(content)
    if not isinstance(content, str):
        raise SampleError("caption is no text", path, f"got {content!r:.80}", offset=offset)
    if len(content) > MOST_TEXT:
        raise SampleError("text too large", path, f"{len(content)} letters", offset=offset)
    if not content.strip() and not empty:
        raise SampleError("empty caption", path, offset=offset)
    return Segment("text", content.strip(), learn)


def inside(root: Path, name: Any, *, path: str | Path, offset: int | None = None) -> Path:
    """The file that a record names, which must lie in `root` or below: data choose no other.

    A link that lies in `root` is followed: it is the folder owner's.

    Raises:
        SampleError: an absolute name elsewhere, one with .., a URL (nothing is fetched or run), no name, or
            one that is too long for any file.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise SampleError("no picture", path, f"the name of the picture is {name!r:.80}", offset=offset)
    if name.startswith(BASE64) and len(name) > SHORTEST_BASE64:
        detail = f"base64 of {len(name)} letters, not a file's name: write the image to a file"
        raise SampleError("no picture", path, detail, offset=offset)
    if URL.match(name) and not PureWindowsPath(name).drive:
        raise SampleError("url, not a file", path, f"{name:.200}; nothing is downloaded", offset=offset)
    parts = PurePosixPath(name.replace("\\", "/"))
    if _is_no_name(parts):
        detail = f"no file has the name {name:.40}… of {len(name)} letters"
        raise SampleError("missing file", path, detail, offset=offset)
    windows = PureWindowsPath(name)
    if ".." in parts.parts or windows.drive or parts.is_absolute():
        if parts.is_absolute() and ".." not in parts.parts and parts.is_relative_to(root.absolute()):
            return found(Path(parts.root), parts.relative_to(parts.root))
        detail = f"{name:.200} is not in {root}; images=DIR names another folder"
        raise SampleError("path outside the folder", path, detail, offset=offset)
    return found(root, parts)


def _is_no_name(parts: PurePath) -> bool:
    """Whether no file system has such a name: it is too long, or has half a letter."""
    try:
        sizes = [len(os.fsencode(part)) for part in parts.parts]
    except UnicodeEncodeError:
        return True
    return sum(sizes) + len(sizes) > MOST_PATH or max(sizes, default=0) > MOST_NAME


def found(root: Path, parts: PurePath) -> Path:
    """The file of this name; where it is not there, that of the same letters in other bytes, if there is one.

    A Mac writes an umlaut as two letters, others as one.
    """
    path = root / parts
    if str(parts).isascii() or os.path.exists(path):
        return path
    path = root
    for part in parts.parts:
        forms = (path / form for form in (part, normalize("NFC", part), normalize("NFD", part)))
        path = next(filter(os.path.exists, forms), path / part)
    return path
