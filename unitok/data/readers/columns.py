"""Which columns of a table hold images and which hold captions: by their names, or by what they hold."""

import ast
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unitok.data.faults import SampleError
from unitok.data.files.list_files import visible
from unitok.data.files.records import Record, Records
from unitok.data.files.splits import split_named
from unitok.data.readers.segments import holds_image, is_missing, resolve_inside
from unitok.data.source import warn_once

IMAGE_COLUMNS = (
    "image", "file_name", "filepath", "file_path", "image_path", "filename", "path", "img", "jpg", "png",
    "webp", "images", "image_name", "image_file",
)  # fmt: skip
CAPTION_COLUMNS = ("text", "caption", "title", "captions", "description", "prompt", "txt", "label", "comment")
STRING_LIST = re.compile(r"""\s*\[\s*["'].{0,65536}["']\s*\]\s*""", re.DOTALL)
MISSING_COMMA = re.compile(r"""["']\s+["']""")
"""Between the texts of a list as numpy writes it, which Python would parse as one text."""
LIST_OR_RECORD = re.compile(r"\s*(\[.*\]|\{.*\})\s*", re.DOTALL)
INSPECTED = 20
"""Records that are inspected to find the folder of the images."""


def find_image_columns(records: Sequence[Record], *, known: Sequence[str]) -> list[str]:
    """Finds the columns that hold images, in records without any of the known columns."""
    if any(name in record for record in records for name in known):
        return []
    names = [name for record in records for name, value in record.items() if holds_image(value)]
    return list(dict.fromkeys(names))


def warn_odd_captions(records: Records, name: str) -> None:
    """Warns once of captions that are numbers, or words that stand for missing values."""
    cells = [cell for cell in (record.get(name) for record in records.first()) if not is_missing(cell)]
    if cells and name not in records.classes and all(map(_is_number, cells)):
        warn_once(
            f"{records.path}: the captions in {name!r} are numbers, such as {cells[0]}, and the file has no "
            "names for them: they are learned as digits"
        )
    if nulls := records.nulls(name):
        warn_once(
            f"{records.path}: {nulls} captions in {name!r} are words such as nan or null, which are learned "
            "verbatim: leave the cell empty if there is no caption"
        )


def parse_captions(cell: Any) -> list:
    """Parses the captions of a cell that is a list, or a list written as JSON or Python; else returns []."""
    if isinstance(cell, list):
        return cell
    if not isinstance(cell, str) or not STRING_LIST.fullmatch(cell) or MISSING_COMMA.search(cell):
        return []
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return value if isinstance(value, list) and all(isinstance(one, str) for one in value) else []
    return []


def warn_caption_lists(records: Records, name: str) -> None:
    """Warns once that only the first of several captions is learned, or that lists are learned verbatim."""
    cells = [cell for cell in (record.get(name) for record in records.first()) if not is_missing(cell)]
    subject = f"{records.path}: the captions in {name!r}"
    if any(len(parse_captions(cell)) > 1 for cell in cells):
        warn_once(f"{subject} are lists of several: the first of each is learned")
    elif cells and all(map(_is_literal, cells)):
        warn_once(
            f"{subject} look like lists or records written as text, such as {cells[0]:.60}, and are learned "
            "verbatim: write one caption into each cell"
        )


def _is_literal(cell: Any) -> bool:
    """Whether a text looks like a list or a record, but does not parse as a list of captions."""
    return isinstance(cell, str) and LIST_OR_RECORD.fullmatch(cell) is not None and not parse_captions(cell)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"\s*[+-]?\d+(\.\d*)?\s*", value, re.ASCII) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def find_column(names: Sequence[str], requested: str | None, known: Sequence[str]) -> str | None:
    """Returns the requested column, or else the first known one that exists, in any case and spacing."""
    if requested in names:
        return requested
    existing = {"_".join(name.casefold().split()): name for name in reversed(names)}
    return requested or next((existing[name] for name in known if name in existing), None)


def guess_pair(records: Sequence[Record], folder: Path) -> tuple[str, str] | None:
    """The columns of images and of captions by what they hold: one names images in the folder or below it,
    and one of the others holds words, not names of splits; None where that is not one each."""
    names = list(records[0]) if records else []
    folders = [folder, *(place for place in visible(folder) if place.is_dir())]
    images = _columns(names, records, lambda value: _names_image(value, folders))
    splits = _columns(names, records, lambda value: isinstance(value, str) and split_named(value) is not None)
    words = [name for name in _columns(names, records, _is_words) if name not in splits]
    return (images[0], words[0]) if len(images) == len(words) == 1 else None


def _columns(names: Sequence[str], records: Sequence[Record], fits: Callable[[Any], bool]) -> list[str]:
    """The columns all of whose first cells fit."""
    return [name for name in names if all(fits(record.get(name)) for record in records)]


def _names_image(value: Any, folders: Sequence[Path]) -> bool:
    """Whether a cell is the name of an image that is there."""
    if not isinstance(value, str) or not holds_image(value):
        return False
    return any(image_exists(folder, value) for folder in folders)


def _is_words(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not _is_number(value) and not holds_image(value)


def image_exists(folder: Path, name: str) -> bool:
    """Whether a folder has the file that a cell names."""
    try:
        return resolve_inside(folder, name, path=folder).is_file()
    except (SampleError, OSError):
        return False
