"""Random access to records, those of JSON lines and JSON lists. Knows no column by name."""

import json
import re
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, ClassVar

from unitok.data.faults import Fault, SampleError
from unitok.data.files.compact_lists import Values
from unitok.data.files.json_records import records_of

Record = dict[str, Any]
MAX_LINE = 2**24
"""Most bytes of one record; a longer one is a fault."""
NULLS = ("nan", "NaN", "NAN", "null", "NULL", "Null", "none", "None", "NONE", "n/a", "N/A", "#N/A", "<NA>")
"""Words by which tables spell a missing value."""


def _cell_pattern(word: str) -> re.Pattern[bytes]:
    """A pattern for a cell of csv or JSON that may be this word; it begins with the word to search fast."""
    one = re.escape(word.encode())
    return re.compile(one + rb'(?<=[\t,;|:\n "]' + one + rb')(?=[ "]*(?:[\t,;|}\r\n]|\Z))')


NULL = [_cell_pattern(word) for word in NULLS]


class Records(ABC):
    """The records of a file, by index.

    `faults` were met while it was indexed; `columns` are the names of its columns, where the file has a
    header; `classes` are the class names of the numbers in a column, by the column's name, where it has some.
    """

    INSPECTED: ClassVar[int] = 100
    """Records that are inspected to learn what the others hold."""

    def __init__(self, path: Path):
        self.path = path
        self.faults: list[Fault] = []
        self.columns: Sequence[str] = ()
        self.classes: Mapping[str, Sequence[str]] = {}

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Record:
        """Raises SampleError if the record is corrupt."""

    def offset(self, index: int) -> int | None:
        """Bytes from the file's beginning to a record, if known."""
        return None

    def place(self, index: int) -> str:
        """The file of a record, with its number if it has no offset."""
        return f"{self.path}:{index}" if self.offset(index) is None else str(self.path)

    def first(self) -> Iterator[Record]:
        """Yields the intact ones of the first records."""
        for index in range(min(len(self), self.INSPECTED)):
            try:
                yield self[index]
            except SampleError:
                continue

    def nulls(self, column: str) -> int:
        """Counts the cells of a text file that are words such as nan, which may stand for missing values."""
        return 0


class LineRecords(Records):
    """Records that follow each other in a file; only their offsets are kept in memory."""

    def __init__(self, path: Path):
        super().__init__(path)
        self._map: mmap | bytes | None = None
        self._starts, self._ends = array("q"), array("q")

    def __len__(self) -> int:
        return len(self._starts)

    def offset(self, index: int) -> int | None:
        return self._starts[index]

    def _add(self, start: int, end: int) -> None:
        self._starts.append(start)
        self._ends.append(end)

    @property
    def _content(self) -> mmap | bytes:
        if self._map is None:
            with self.path.open("rb") as file:
                empty = not file.read(1)
                self._map = (
                    b"" if empty else _normalise_lines(mmap(file.fileno(), 0, access=ACCESS_READ), self.path)
                )
        return self._map

    def _text(self, index: int) -> str:
        start, end = self._starts[index], self._ends[index]
        if end - start > MAX_LINE:
            raise SampleError("text too large", self.path, f"a record of {end - start} bytes", offset=start)
        try:
            return self._content[start:end].decode("utf-8-sig" if start == 0 else "utf-8")
        except UnicodeDecodeError as error:
            raise SampleError("not UTF-8", self.path, f"not UTF-8: {error}", offset=start) from error

    def nulls(self, column: str) -> int:
        cells = (cell.start() for word in NULL for cell in word.finditer(self._content))
        candidates = {bisect_right(self._starts, cell) - 1 for cell in cells}
        return sum(self._is_null(index, column) for index in candidates if index >= 0)

    def _is_null(self, index: int, column: str) -> bool:
        try:
            cell = self[index].get(column)
        except SampleError:
            return False
        return isinstance(cell, str) and cell.strip() in NULLS

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_map": None}


def _normalise_lines(content: mmap, path: Path) -> mmap | bytes:
    """Returns the file itself; UTF-16 and lines ending in \\r, which spreadsheets write, are converted."""
    head = content[:2]
    if head in (b"\xff\xfe", b"\xfe\xff") or (len(head) == 2 and (head[0] == 0) != (head[1] == 0)):
        name = "utf-16" if 0 not in head else "utf-16-le" if head[1] == 0 else "utf-16-be"
        try:
            return content[:].decode(name).encode()
        except UnicodeError as error:
            raise ValueError(f"{path}: neither UTF-8 nor UTF-16: {error}") from error
    return content if content.find(b"\n") >= 0 else content[:].replace(b"\r", b"\n")


def line_ends(content: mmap | bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """Yields the start and end of each line, without its line feed."""
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        yield start, end
        start = end + 1


class JsonLines(LineRecords):
    """One JSON object per line; empty lines are skipped. `limit` bounds the number of records."""

    def __init__(self, path: Path, *, limit: int | None = None):
        super().__init__(path)
        content = self._content
        for start, end in line_ends(content):
            if len(self) == limit:
                break
            if content[start : min(end, start + 64)].strip() or content[start:end].strip():
                self._add(start, end)

    def __getitem__(self, index: int) -> Record:
        line, offset = self._text(index), self.offset(index)
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SampleError("not JSON", self.path, f"not JSON: {error}", offset=offset) from error
        return _check_object(record, self.path, offset)


class JsonList(Records):
    """The objects of a JSON file that holds a list, or another known shape; kept in memory as text.

    Raises:
        ValueError: the file is not JSON, or holds no records.
    """

    def __init__(self, path: Path):
        super().__init__(path)
        content = read_json(path)
        records = records_of(content)
        if records is None:
            raise ValueError(f"{path}: must hold a JSON list of objects, got {type(content).__name__}")
        self.records = Values(records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Record:
        return _check_object(self.records[index], f"{self.path}:{index}", None)


def _check_object(record: Any, path: Path | str, offset: int | None) -> Record:
    if not isinstance(record, dict):
        raise SampleError("not a JSON object", path, f"got {record!r:.80}", offset=offset)
    return record


def open_json(path: Path) -> Records:
    """Opens the records of a .json file, which may also hold JSON lines.

    Raises:
        ValueError: the file holds no records.
    """
    try:
        return JsonList(path)
    except ValueError:
        lines = JsonLines(path)
        if not isinstance(next(iterate(lines), None), dict):
            raise
        return lines


def iterate(records: Records) -> Iterator[Record | SampleError]:
    """Yields all records; for a corrupt one, its error."""
    for index in range(len(records)):
        try:
            yield records[index]
        except SampleError as error:
            yield error


def read_json(path: Path) -> Any:
    """Reads a JSON file. Raises FileNotFoundError if it is missing, and ValueError if it is not JSON."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from error


def column_names(records: Records) -> Sequence[str]:
    """The names of the columns, from the file's header or its first intact record."""
    return records.columns or list(next(records.first(), ()))


def check_distinct(columns: Sequence[str], path: Path) -> Sequence[str]:
    """Returns the columns of a file. Raises ValueError if a name occurs twice."""
    names = [name for name in columns if name]  # Excel and pandas often write several columns without names
    if len(names) != len(set(names)):
        raise ValueError(f"{path}: column names must be distinct, got {', '.join(columns)}")
    return columns
