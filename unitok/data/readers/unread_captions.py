"""Detects caption files that would be ignored, and says why. Opens no image."""

import re
from pathlib import Path

from unitok.data.files.csv_headers import IMAGE_NAME_END
from unitok.data.files.open_records import FirstLook
from unitok.data.readers.tables import CaptionTable

TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".arrow")
TEXTS = (".txt", ".caption", ".captions", ".cap", ".text", ".prompt", ".tags")
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar", ".gz", ".bz2", ".xz", ".zst")
ARRAYS = (".pkl", ".pickle", ".npy", ".npz", ".mat", ".h5", ".hdf5", ".db", ".sqlite", ".lmdb", ".feather")
MARKED_UP = (".yaml", ".yml", ".md", ".xml", ".html", ".htm")
"""Suffixes of files that are captions only beside an image of the same name."""
NOTES = ("readme", "license", "licence", "copying", "notice", "changelog", "citation", "requirements")
BOXES = re.compile(r"\s*\d+(\s+-?\d*\.?\d+(e-?\d+)?){4,}\s*", re.IGNORECASE)
MAX_READ = 2**16
"""Bytes that are read to inspect a text."""


def is_note(name: str) -> bool:
    """Whether a file of this name is documentation."""
    return name.casefold().startswith(NOTES)


def looks_like_captions(name: str) -> bool:
    """Whether a file of this name may hold captions."""
    suffixes = (*TABLES, *TEXTS, *SPREADSHEETS, *ARCHIVES, *ARRAYS)
    return name.lower().endswith(suffixes) and not is_note(name)


def is_packed(name: str) -> bool:
    """Whether a file of this name is an archive or a spreadsheet, which may hold a data set."""
    return name.lower().endswith((*ARCHIVES, *SPREADSHEETS))


def holds_boxes(file: Path) -> bool:
    """Whether each line of a text is a class and a box or outline, in YOLO's format."""
    with file.open("rb") as opened:
        lines = opened.read(MAX_READ).decode("utf-8", "replace").splitlines()
    return any(map(str.strip, lines)) and all(BOXES.fullmatch(line) for line in lines if line.strip())


def is_empty(file: Path) -> bool:
    """Whether a file has no content."""
    return file.stat().st_size == 0


def names_images(look: FirstLook) -> bool:
    """Whether a table names images: a cell of its first record does, or the table could not be read."""
    cells = (look.record or {}).values()
    return bool(look.problem) or any(isinstance(cell, str) and IMAGE_NAME_END.search(cell) for cell in cells)


def explain_unread(look: FirstLook) -> str:
    """Explains why the captions that a file may hold are not read, and what to do."""
    name = look.path.name.lower()
    if name.endswith(SPREADSHEETS):
        return "it is a spreadsheet: save it as .csv"
    if name.endswith(ARCHIVES):
        return "it is an archive: unpack it"
    if name.endswith(ARRAYS):
        return "it is not a table of a known format: write its captions into a .csv or .jsonl"
    if name.endswith(TEXTS):
        boxes = name.endswith(".txt") and holds_boxes(look.path)
        return "it holds boxes, no caption" if boxes else "there is no image of the same name beside it"
    if name.endswith(MARKED_UP):
        return "it is not plain text: write its caption into a .txt of the same name"
    return explain_no_table(look)


def explain_no_table(look: FirstLook) -> str:
    """Explains why a table does not hold captions, with its columns."""
    if CaptionTable.fits(look):
        return "only tables directly in the folder are read: give this one as the path, with images=DIR"
    if look.record is not None:
        names = f"{', '.join(map(str, look.record)):.200}"
        return look.problem or (
            f"its columns are {names}, without known columns for images and captions: name them by "
            "picture_column and caption_column, as docs/your-data.md shows"
        )
    return look.problem.removeprefix(f"{look.path}: ") or "it holds no records"
