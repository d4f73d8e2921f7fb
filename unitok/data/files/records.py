"""Random access to records of JSON lines, JSON lists, csv and tsv. Knows no column by name."""

import csv
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
from unitok.data.files.csv_headers import IMAGE_NAME_END, read_header
from unitok.data.files.json_records import records_of

Record = dict[str, Any]
MAX_LINE = 2**24
"""Most bytes of one record; a longer one is a fault."""
MAX_QUOTED = 2**17
"""Most bytes of a csv row with quoted line feeds; csv has the same limit for a field."""
MAX_WASTED = 2**20
"""Most bytes of a csv that may be parsed in vain as multi-line rows, beside four for each byte."""
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


class _LineRecords(Records):
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


class JsonLines(_LineRecords):
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


class DelimitedRows(_LineRecords):
    """The rows of a .csv or .tsv; its first line gives the column names and the separator.

    Fields may be quoted. If the first line names an image, it is a row, and the columns are image and
    caption. A quotation that never ends, or is malformed over several lines, affects only its own line.

    Raises:
        ValueError: the file has no first line.
    """

    def __init__(self, path: Path):
        super().__init__(path)
        content, start, self._wasted = self._content, 0, 0
        first = next((content[b:e] for b, e in line_ends(content) if content[b:e].strip()), b"")
        usual = "\t" if path.suffix.lower() == ".tsv" else ","
        self.header = read_header(first.decode("utf-8-sig", "replace").rstrip("\r"), usual=usual)
        self.delimiter = self.header.separator
        closings = _ClosingLines(content, self.delimiter.encode())
        while start < len(content):
            end = self._row_end(content, start, closings)
            if content[start:end].strip():
                self._add(start, end)
            if len(self) == 1 and not self.columns:
                self.columns = self.header.columns if self.header.absent else self._fields(0)
                self.columns = check_distinct(self.columns, path)
            start = end + 1
        if not self.columns:
            raise ValueError(f"{path}: the file is empty; its first line should name the columns")
        if not self.header.absent:
            del self._starts[0], self._ends[0]

    def _row_end(self, content: mmap | bytes, start: int, closings: "_ClosingLines") -> int:
        """Returns the end of a row, or of its first line if it is malformed or a quotation never ends."""
        _, first = next(line_ends(content, start))
        if not _ends_quoted(content[start:first], False, self.delimiter.encode()):
            return first
        end = closings.next_end(first + 1)
        if end is None or end - start > min(MAX_QUOTED, MAX_WASTED + 4 * start - self._wasted):
            return first
        if self._is_row(content[start:end]):
            return end
        self._wasted += end - start
        return first

    def _is_row(self, row: bytes) -> bool:
        try:
            fields = self._parse(row.decode("utf-8", "replace"), strict=True)
            return not self.columns or len(fields) == len(self.columns)
        except (csv.Error, StopIteration):
            return False

    def _parse(self, row: str, *, strict: bool = False) -> list[str]:
        lines = re.split(r"(?<=\n)", row)  # splitlines would also split at separators within a field
        spaced = self.header.spaced
        return next(csv.reader(lines, delimiter=self.delimiter, strict=strict, skipinitialspace=spaced))

    def _fields(self, index: int) -> list[str]:
        row, offset = self._text(index), self.offset(index)
        try:
            fields = self._parse(row)
        except (csv.Error, StopIteration) as error:
            raise SampleError("not a row", self.path, _describe_row_error(error), offset=offset) from error
        return [field.strip() for field in fields] if self.header.spaced else fields

    def __getitem__(self, index: int) -> Record:
        fields = self._fields(index)
        if len(fields) != len(self.columns):
            detail = f"{len(fields)} fields, the first line has {len(self.columns)}"
            raise SampleError("not a row", self.path, detail, offset=self.offset(index))
        if self.header.absent:
            fields = [IMAGE_NAME_END.sub(r"\1", field.strip()) for field in fields]
        return dict(zip(self.columns, fields, strict=True))


def _describe_row_error(error: Exception) -> str:
    """Describes why a row of csv cannot be read."""
    if "field limit" not in str(error):
        return f"not a row: {error}"
    limit = f"{csv.field_size_limit():,} characters"
    return f"not a row: a cell has more than {limit}, as images in base64 do: write these to files"


class _ClosingLines:
    """Finds lines that close a quotation opened before them; each line is searched only once.

    Args:
        content: the file.
        delimiter: between fields.
    """

    def __init__(self, content: mmap | bytes, delimiter: bytes):
        self._content, self._delimiter = content, delimiter
        self._start, self._end = 0, -1

    def next_end(self, start: int) -> int | None:
        """Returns the end of the first such line from `start` on; `start` must not decrease."""
        if not self._start <= start <= self._end:
            ends = (end for begin, end in line_ends(self._content, start) if self._closes(begin, end))
            self._start, self._end = start, next(ends, len(self._content) + 1)
        return self._end if self._end <= len(self._content) else None

    def _closes(self, begin: int, end: int) -> bool:
        return not _ends_quoted(self._content[begin:end], True, self._delimiter)


def _ends_quoted(line: bytes, quoted: bool, delimiter: bytes) -> bool:
    """Whether a line ends inside a quotation; `quoted` says whether it begins inside one.

    Example:
        >>> _ends_quoted(b'a.png,"two', False, b","), _ends_quoted(b'lines"', True, b",")
        (True, False)
    """
    position = 0
    while True:
        if quoted:
            position = line.find(b'"', position)
            if position < 0:
                return True
            quoted = line[position + 1 : position + 2] == b'"'  # two quotes are an escaped one
            position += 2 if quoted else 1
        elif position == 0 and line.startswith(b'"'):
            quoted, position = True, 1
        else:
            position = line.find(delimiter + b'"', position)
            if position < 0:
                return False
            quoted, position = True, position + 2


def column_names(records: Records) -> Sequence[str]:
    """The names of the columns, from the file's header or its first intact record."""
    return records.columns or list(next(records.first(), ()))


def check_distinct(columns: Sequence[str], path: Path) -> Sequence[str]:
    """Returns the columns of a file. Raises ValueError if a name occurs twice."""
    names = [name for name in columns if name]  # Excel and pandas often write several columns without names
    if len(names) != len(set(names)):
        raise ValueError(f"{path}: column names must be distinct, got {', '.join(columns)}")
    return columns
