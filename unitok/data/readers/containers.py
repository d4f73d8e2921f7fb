"""Which file holds records, and a first look at a path. Knows containers, no format."""

from functools import cached_property
from pathlib import Path
from typing import Any

from unitok.data.faults import SampleError
from unitok.data.readers.arrow import STATE, ParquetRows, SavedRows
from unitok.data.readers.records import (
    DelimitedRows,
    JsonLines,
    JsonList,
    Record,
    Records,
    read_json,
)
from unitok.data.readers.splits import Part, by_split

FILES: dict[str, type[Records]] = {
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".json": JsonList,
    ".csv": DelimitedRows,
    ".tsv": DelimitedRows,
    ".parquet": ParquetRows,
}
GLANCE = 100
"""Records of which one should be whole for a set to be recognised."""


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
    files = sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))
    return files if part is None else by_split(files).get(part, [])


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
        if self.path.suffix.lower() == ".json":
            records = self.json if isinstance(self.json, list) else []
            return next((record for record in records[:GLANCE] if isinstance(record, dict)), None)
        if not self._holds_records:
            return None
        lines = FILES.get(self.path.suffix.lower()) is JsonLines
        try:
            return _first(JsonLines(self.path, most=GLANCE) if lines else open_records(self.path))
        except (ValueError, OSError) as error:
            self.problem = str(error)
            return None

    @property
    def _holds_records(self) -> bool:
        if self.path.is_dir():
            return (self.path / STATE).is_file() or bool(parquet_files(self.path, None))
        return self.path.is_file() and self.path.suffix.lower() in FILES


def _first(records: Records) -> Record | None:
    for index in range(min(len(records), GLANCE)):
        try:
            return records[index]
        except SampleError:
            continue
    return None
