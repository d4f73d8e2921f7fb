"""Opens a file of records of any kind, and takes a first look at a path. Knows containers, no format."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from unitok.data.files.arrow import STATE, ParquetRows, SavedRows
from unitok.data.files.csv_headers import read_header
from unitok.data.files.json_records import records_of
from unitok.data.files.list_files import plain_files
from unitok.data.files.records import (
    DelimitedRows,
    JsonLines,
    Record,
    Records,
    each,
    open_json,
    read_json,
)
from unitok.data.files.splits import Part, by_split

FILES: dict[str, Callable[[Path], Records]] = {
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".json": open_json,
    ".csv": DelimitedRows,
    ".tsv": DelimitedRows,
    ".txt": DelimitedRows,
    ".parquet": ParquetRows,
}
MOST_HEADER = 2**16
"""Bytes of a first line."""


def open_records(path: Path, part: Part | None = None) -> Records:
    """The records of a file, of a folder of Parquet files, or of one that HF `datasets` saved.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no records, or is damaged as a whole.
    """
    if (path / STATE).is_file():
        return SavedRows(path)
    if path.is_dir():
        files = parquet_files(path, part)
        if not files:
            wanted = ".parquet files" if part is None else f".parquet files of the split {part}"
            raise FileNotFoundError(f"the folder {path} has no {wanted}")
        return ParquetRows(path, files)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix.lower() not in FILES:
        raise ValueError(f"{path}: not a table ({', '.join(FILES)})")
    return FILES[path.suffix.lower()](path)


def parquet_files(path: Path, part: Part | None) -> list[Path]:
    """The Parquet files of a folder or of its folder data; those of one part say so by their names."""
    found = plain_files(path, ".parquet") or plain_files(path / "data", ".parquet")
    return found if part is None else by_split(found).get(part, [])


class Look:
    """A path that has to be recognised; what is read for it is read once. `problem`: why it was not."""

    def __init__(self, path: Path):
        self.path, self.problem = path, ""

    @cached_property
    def json(self) -> Any:
        """What a .json file holds; None for other files."""
        if self.path.suffix.lower() != ".json" or not self.path.is_file():
            return None
        try:
            return read_json(self.path)
        except ValueError as error:
            self.problem = str(error)
            return None

    @cached_property
    def record(self) -> Record | None:
        """The first record that is whole; None where the path holds no records."""
        return next(iter(self.records), None)

    @cached_property
    def records(self) -> list[Record]:
        """The first records, those that are whole."""
        if self.json is not None:
            records = records_of(self.json) or []
            return [record for record in records[: Records.GLANCE] if isinstance(record, dict)]
        return self._first() if self._holds_records and self.path.suffix.lower() != ".txt" else []

    @cached_property
    def rows(self) -> list[Record]:
        """An empty row of a .txt, were it a table: the columns in its first line show whether it is one."""
        if not self.path.is_file() or self.path.suffix.lower() != ".txt":
            return []
        with self.path.open("rb") as file:
            line = file.readline(MOST_HEADER).decode("utf-8-sig", "replace").rstrip("\r\n")
        return [dict.fromkeys(read_header(line, usual=",").columns)]

    def _first(self) -> list[Record]:
        try:
            opened = self._open()
            found = list(opened.first())
            damaged = next(each(opened), None) if not found else None
        except (ValueError, OSError) as error:
            found, damaged = [], error
        if damaged is not None and not self.problem:
            self.problem = f"{damaged}{'; save it as UTF-8' if 'not UTF-8' in str(damaged) else ''}"
        return found

    def _open(self) -> Records:
        lines = FILES.get(self.path.suffix.lower()) in (JsonLines, open_json)
        return JsonLines(self.path, most=Records.GLANCE) if lines else open_records(self.path)

    @property
    def _holds_records(self) -> bool:
        if self.path.is_dir():
            return (self.path / STATE).is_file() or bool(parquet_files(self.path, None))
        return self.path.is_file() and self.path.suffix.lower() in FILES
