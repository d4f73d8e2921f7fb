"""From the fields of a record to segments: images by file or bytes, texts, names. Knows no format."""

import math
import os
import re
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any
from unicodedata import normalize

from unitok.data.faults import SampleError
from unitok.data.files.images import IMAGE_SUFFIXES, ImageError, load_image
from unitok.document import Segment

MAX_TEXT = 2**20
"""Most bytes of a text, or of a sample's metadata, that are read; tokenizers accept fewer."""

MAX_NAME, MAX_PATH = 255, 2048
"""Most bytes of a file name, and of a path, that file systems accept."""

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
IMAGE_NAME = re.compile(
    rf"[^\n]{{0,4096}}({'|'.join(map(re.escape, IMAGE_SUFFIXES))})(\?\S*)?", re.IGNORECASE
)
"""The name or URL of an image."""
BASE64 = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "data:image/")
"""Prefixes of images encoded as text, which are not read."""
SHORTEST_BASE64 = 60
"""Characters; even the smallest images have more, and names are seldom this long."""


def image_segment(
    content: str | Path | bytes, *, path: str | Path, offset: int | None = None, learn: bool = True
) -> Segment:
    """Builds an image segment from a file or bytes; `path` and `offset` locate it in faults."""
    try:
        return Segment("image", load_image(content, name=str(path)), learn)
    except ImageError as error:
        raise SampleError(error.reason, path, error.detail, offset=offset) from error


def holds_image(value: Any) -> bool:
    """Whether a cell looks like an image: bytes, also with a path, a name or URL, or a list of these."""
    if isinstance(value, list):
        return any(map(holds_image, value))
    if isinstance(value, dict):
        return "bytes" in value and value.keys() <= {"bytes", "path"}
    if isinstance(value, str):
        return value.startswith(BASE64) or IMAGE_NAME.fullmatch(value) is not None
    return isinstance(value, bytes)


def names_no_image(value: Any) -> bool:
    """Whether a cell holds no image: null, an empty name, or null in all of HF's fields of an image."""
    if isinstance(value, dict):
        return all(names_no_image(one) for one in value.values())
    return value is None or (isinstance(value, str) and not value.strip())


def is_missing(value: Any) -> bool:
    """Whether a cell has no value: null, NaN or infinity."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def text_segment(
    content: Any, *, path: str | Path, offset: int | None = None, learn: bool = True, empty: bool = False
) -> Segment:
    """Builds a text segment from a string or UTF-8 bytes, stripped of surrounding white space.

    Numbers become text; NaN and infinity are missing values. Raises SampleError if no text is left, unless
    `empty` allows it.
    """
    if isinstance(content, bytes):
        if len(content) > MAX_TEXT:
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
    if len(content) > MAX_TEXT:
        raise SampleError("text too large", path, f"{len(content)} characters", offset=offset)
    if not content.strip() and not empty:
        raise SampleError("empty caption", path, offset=offset)
    return Segment("text", content.strip(), learn)


def resolve_inside(root: Path, name: Any, *, path: str | Path, offset: int | None = None) -> Path:
    """Returns the path of a file that a record names, which must be in `root` or below.

    Data must not choose files elsewhere; but a link in `root` is followed, since it is the folder owner's.

    Raises:
        SampleError: the name is absolute and elsewhere, has .., is a URL (nothing is fetched or run), is
            missing, or is too long for any file.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise SampleError(
            "no picture", path, f"image name must be a non-empty string, got {name!r:.80}", offset=offset
        )
    if name.startswith(BASE64) and len(name) > SHORTEST_BASE64:
        detail = f"base64 of {len(name)} characters, not a file name: write the image to a file"
        raise SampleError("no picture", path, detail, offset=offset)
    if URL.match(name) and not PureWindowsPath(name).drive:
        raise SampleError("url, not a file", path, f"{name:.200}; nothing is downloaded", offset=offset)
    parts = PurePosixPath(name.replace("\\", "/"))
    if _is_impossible(parts):
        detail = f"not a possible file name: {name:.40}… of {len(name)} characters"
        raise SampleError("missing file", path, detail, offset=offset)
    windows = PureWindowsPath(name)
    if ".." in parts.parts or windows.drive or parts.is_absolute():
        if parts.is_absolute() and ".." not in parts.parts and parts.is_relative_to(root.absolute()):
            return find_file(Path(parts.root), parts.relative_to(parts.root))
        detail = f"{name:.200} is not in {root}; images=DIR names another folder"
        raise SampleError("path outside the folder", path, detail, offset=offset)
    return find_file(root, parts)


def _is_impossible(parts: PurePath) -> bool:
    """Whether no file system allows a path: it is too long, or has lone surrogates."""
    try:
        sizes = [len(os.fsencode(part)) for part in parts.parts]
    except UnicodeEncodeError:
        return True
    return sum(sizes) + len(sizes) > MAX_PATH or max(sizes, default=0) > MAX_NAME


def find_file(root: Path, parts: PurePath) -> Path:
    """Returns the file of this name, or else one whose name differs only in Unicode normalisation.

    macOS writes an umlaut as two characters (NFD), other systems as one (NFC).
    """
    path = root / parts
    if str(parts).isascii() or os.path.exists(path):
        return path
    path = root
    for part in parts.parts:
        forms = (path / form for form in (part, normalize("NFC", part), normalize("NFD", part)))
        path = next(filter(os.path.exists, forms), path / part)
    return path
