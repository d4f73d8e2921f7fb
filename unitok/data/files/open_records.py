"""Opens a file of records of any kind, and takes a first look at a path. Knows containers, no format."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from unitok.data.files.arrow import STATE, ParquetRows, SavedRows
from unitok.data.files.csv_headers import read_header
from unitok.data.files.csv_rows import DelimitedRows
from unitok.data.files.json_records import records_of
from unitok.data.files.list_files import plain_files
from unitok.data.files.records import (
    JsonLines,
    Record,
    Records,
    iterate,
    open_json,
    read_json,
)
from unitok.data.files.splits import Split, group_by_split

FILES: dict[str, Callable[[Path], Records]] = {
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".json": open_json,
    ".csv": DelimitedRows,
    ".tsv": DelimitedRows,
    ".txt": DelimitedRows,
    ".parquet": ParquetRows,
}
MAX_HEADER = 2**16
"""Most bytes of a first line."""


def open_records(path: Path, split: Split | None = None) -> Records:
    """Opens the records of a file, of a folder of Parquet files, or of a folder saved by HF `datasets`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no records, or is corrupt as a whole.
    """
    if (path / STATE).is_file():
        return SavedRows(path)
    if path.is_dir():
        files = parquet_files(path, split)
        if not files:
            missing = ".parquet files" if split is None else f".parquet files of the split {split}"
            raise FileNotFoundError(f"{path}: no {missing}")
        return ParquetRows(path, files)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found")
    if path.suffix.lower() not in FILES:
        raise ValueError(f"{path}: not a table ({', '.join(FILES)})")
    return FILES[path.suffix.lower()](path)


def parquet_files(path: Path, split: Split | None) -> list[Path]:
    """Lists the Parquet files of a folder or its folder data; those of one split by their names."""
    files = plain_files(path, ".parquet") or plain_files(path / "data", ".parquet")
    return files if split is None else group_by_split(files).get(split, [])


class FirstLook:
    """A path whose format is to be detected; its content is read once. `problem` says why it was not."""

    def __init__(self, path: Path):
        self.path, self.problem = path, ""

    @cached_property
    def json(self) -> Any:
        """The content of a .json file; None for other files."""
        if self.path.suffix.lower() != ".json" or not self.path.is_file():
            return None
        try:
            return read_json(self.path)
        except ValueError as error:
            self.problem = str(error)
            return None

    @cached_property
    def record(self) -> Record | None:
        """The first intact record; None if the path holds no records."""
        return next(iter(self.records), None)

    @cached_property
    def records(self) -> list[Record]:
        """The intact ones of the first records."""
        if self.json is not None:
            records = records_of(self.json) or []
            return [record for record in records[: Records.INSPECTED] if isinstance(record, dict)]
        return self._read_first() if self._holds_records and self.path.suffix.lower() != ".txt" else []

    @cached_property
    def rows(self) -> list[Record]:
        """An empty row of a .txt read as a table: the columns in its first line show whether it is one."""
        if not self.path.is_file() or self.path.suffix.lower() != ".txt":
            return []
        with self.path.open("rb") as file:
            line = file.readline(MAX_HEADER).decode("utf-8-sig", "replace").rstrip("\r\n")
        return [dict.fromkeys(read_header(line, usual=",").columns)]

    def _read_first(self) -> list[Record]:
        try:
            opened = self._open()
            records = list(opened.first())
            problem = next(iterate(opened), None) if not records else None
        except (ValueError, OSError) as error:
            records, problem = [], error
        if problem is not None and not self.problem:
            self.problem = f"{problem}{'; save it as UTF-8' if 'not UTF-8' in str(problem) else ''}"
        return records

    def _open(self) -> Records:
        lines = FILES.get(self.path.suffix.lower()) in (JsonLines, open_json)
        return JsonLines(self.path, limit=Records.INSPECTED) if lines else open_records(self.path)

    @property
    def _holds_records(self) -> bool:
        if self.path.is_dir():
            return (self.path / STATE).is_file() or bool(parquet_files(self.path, None))
        return self.path.is_file() and self.path.suffix.lower() in FILES
