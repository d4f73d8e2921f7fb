"""Detects caption files that would be ignored, and says why. Opens no image."""

import re
from pathlib import Path

from unitok.data.files.csv_headers import SHOWN
from unitok.data.files.open_records import Look
from unitok.data.readers.tables import CaptionTable

TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".arrow")
TEXTS = (".txt", ".caption", ".captions", ".cap", ".text", ".prompt", ".tags")
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar", ".gz", ".bz2", ".xz", ".zst")
ARRAYS = (".pkl", ".pickle", ".npy", ".npz", ".mat", ".h5", ".hdf5", ".db", ".sqlite", ".lmdb", ".feather")
MARKED_UP = (".yaml", ".yml", ".md", ".xml", ".html", ".htm")
"""Suffixes of what is a caption only beside an image of its name."""
NOTES = ("readme", "license", "licence", "copying", "notice", "changelog", "citation", "requirements")
BOXES = re.compile(r"\s*\d+(\s+-?\d*\.?\d+(e-?\d+)?){4,}\s*", re.IGNORECASE)
MOST_READ = 2**16
"""Bytes that are read to see what a text holds."""


def is_note(name: str) -> bool:
    """Whether a file of this name is for people alone."""
    return name.casefold().startswith(NOTES)


def looks_like_captions(name: str) -> bool:
    """Whether captions may lie in a file of this name."""
    suffixes = (*TABLES, *TEXTS, *SPREADSHEETS, *ARCHIVES, *ARRAYS)
    return name.lower().endswith(suffixes) and not is_note(name)


def is_packed(name: str) -> bool:
    """Whether a set may lie in a file of this name, packed or in a spreadsheet."""
    return name.lower().endswith((*ARCHIVES, *SPREADSHEETS))


def holds_boxes(file: Path) -> bool:
    """Whether each line of a text is a class and a box or outline, as YOLO has them."""
    with file.open("rb") as opened:
        lines = opened.read(MOST_READ).decode("utf-8", "replace").splitlines()
    return any(map(str.strip, lines)) and all(BOXES.fullmatch(line) for line in lines if line.strip())


def is_empty(file: Path) -> bool:
    """Whether there is nothing in a file."""
    return file.stat().st_size == 0


def names_images(look: Look) -> bool:
    """Whether a table is about images: a cell of its first record names one, or it could not be read."""
    cells = (look.record or {}).values()
    return bool(look.problem) or any(isinstance(cell, str) and SHOWN.search(cell) for cell in cells)


def why_unread(look: Look) -> str:
    """Why the captions that may be in a file are not read, and what to do."""
    name = look.path.name.lower()
    if name.endswith(SPREADSHEETS):
        return "it is a spreadsheet: save it as .csv"
    if name.endswith(ARCHIVES):
        return "it is packed: unpack it"
    if name.endswith(ARRAYS):
        return "it is no table of a known format: write its captions into a .csv or .jsonl"
    if name.endswith(TEXTS):
        boxes = name.endswith(".txt") and holds_boxes(look.path)
        return "it holds boxes, no caption" if boxes else "no image of its name lies beside it"
    if name.endswith(MARKED_UP):
        return "it is no plain text: write its caption into a .txt of the same name"
    return why_no_table(look)


def why_no_table(look: Look) -> str:
    """Why a table is none of captions, with the columns it has."""
    if CaptionTable.fits(look):
        return "a table is looked for in the folder itself: give this one as the path, with images=DIR"
    if look.record is not None:
        named = f"{', '.join(map(str, look.record)):.200}"
        return look.problem or (
            f"its columns are {named}, not both a known one of images and one of captions: name them by "
            "picture_column and caption_column, as docs/your-data.md shows"
        )
    return look.problem.removeprefix(f"{look.path}: ") or "it holds no records"
