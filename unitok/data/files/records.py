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
from unitok.data.files.csv_headers import SHOWN, read_header
from unitok.data.files.json_records import records_of

Record = dict[str, Any]
MOST_LINE = 2**24
"""Bytes of one record; a longer one is a fault."""
MOST_QUOTED = 2**17
"""Bytes of one csv row that has line feeds in a quotation; csv has the same limit for a field."""
MOST_IN_VAIN = 2**20
"""Bytes of a csv that may be parsed as rows over several lines and be none, beside four for each byte."""
NULLS = ("nan", "NaN", "NAN", "null", "NULL", "Null", "none", "None", "NONE", "n/a", "N/A", "#N/A", "<NA>")
"""Words by which tables spell a missing value."""


def _cells(word: str) -> re.Pattern[bytes]:
    """Finds what may be a cell of csv or JSON that is a word; the word comes first, which is sought fast."""
    one = re.escape(word.encode())
    return re.compile(one + rb'(?<=[\t,;|:\n "]' + one + rb')(?=[ "]*(?:[\t,;|}\r\n]|\Z))')


NULL = [_cells(word) for word in NULLS]


class Records(ABC):
    """The records of a file, by index.

    `faults` are those met while it was indexed; `columns` are their names, where the file has them; `classes`
    are the words for the numbers in a column, by its name, where the file has such words.
    """

    GLANCE: ClassVar[int] = 100
    """Records from which it is learned what the others hold."""

    def __init__(self, path: Path):
        self.path = path
        self.faults: list[Fault] = []
        self.columns: Sequence[str] = ()
        self.classes: Mapping[str, Sequence[str]] = {}

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Record:
        """Raises SampleError where it is damaged."""

    def offset(self, index: int) -> int | None:
        """Bytes from the file's beginning to a record."""
        return None

    def place(self, index: int) -> str:
        """The file of a record, and its number where it has no offset."""
        return f"{self.path}:{index}" if self.offset(index) is None else str(self.path)

    def first(self) -> Iterator[Record]:
        """The first records, those that are whole."""
        for index in range(min(len(self), self.GLANCE)):
            try:
                yield self[index]
            except SampleError:
                continue

    def nulls(self, column: str) -> int:
        """How many cells are a word such as nan, in a file of text, where that may be a missing value."""
        return 0


class _Lines(Records):
    """Records that lie in the file one after another; only their places are held in memory."""

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
                self._map = b"" if empty else _as_lines(mmap(file.fileno(), 0, access=ACCESS_READ), self.path)
        return self._map

    def _text(self, index: int) -> str:
        start, end = self._starts[index], self._ends[index]
        if end - start > MOST_LINE:
            raise SampleError("text too large", self.path, f"a record of {end - start} bytes", offset=start)
        try:
            return self._content[start:end].decode("utf-8-sig" if start == 0 else "utf-8")
        except UnicodeDecodeError as error:
            raise SampleError("not UTF-8", self.path, f"not UTF-8: {error}", offset=start) from error

    def nulls(self, column: str) -> int:
        cells = (cell.start() for word in NULL for cell in word.finditer(self._content))
        found = {bisect_right(self._starts, cell) - 1 for cell in cells}
        return sum(self._is_null(index, column) for index in found if index >= 0)

    def _is_null(self, index: int, column: str) -> bool:
        try:
            cell = self[index].get(column)
        except SampleError:
            return False
        return isinstance(cell, str) and cell.strip() in NULLS

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_map": None}


def _as_lines(content: mmap, path: Path) -> mmap | bytes:
    """The file itself; what spreadsheets write too, UTF-16 or lines that end with \\r alone, in memory."""
    head = content[:2]
    if head in (b"\xff\xfe", b"\xfe\xff") or (len(head) == 2 and (head[0] == 0) != (head[1] == 0)):
        name = "utf-16" if 0 not in head else "utf-16-le" if head[1] == 0 else "utf-16-be"
        try:
            return content[:].decode(name).encode()
        except UnicodeError as error:
            raise ValueError(f"{path}: neither UTF-8 nor UTF-16: {error}") from error
    return content if content.find(b"\n") >= 0 else content[:].replace(b"\r", b"\n")


def line_ends(content: mmap | bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """Where each line begins, and where it ends without its line feed."""
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        yield start, end
        start = end + 1


class JsonLines(_Lines):
    """One JSON object a line; empty lines are passed over. At `most` so many are taken."""

    def __init__(self, path: Path, *, most: int | None = None):
        super().__init__(path)
        content = self._content
        for start, end in line_ends(content):
            if len(self) == most:
                break
            if content[start : min(end, start + 64)].strip() or content[start:end].strip():
                self._add(start, end)

    def __getitem__(self, index: int) -> Record:
        line, offset = self._text(index), self.offset(index)
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SampleError("not JSON", self.path, f"not JSON: {error}", offset=offset) from error
        return _checked(record, self.path, offset)


class JsonList(Records):
    """The objects of a JSON file that holds a list, or another shape of them; their texts are held in memory.

    Raises:
        ValueError: it is no JSON, or holds no records.
    """

    def __init__(self, path: Path):
        super().__init__(path)
        content = read_json(path)
        records = records_of(content)
        if records is None:
            raise ValueError(f"{path}: expected a JSON list of objects, got {type(content).__name__}")
        self.records = Values(records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Record:
        return _checked(self.records[index], f"{self.path}:{index}", None)


def _checked(record: Any, path: Path | str, offset: int | None) -> Record:
    if not isinstance(record, dict):
        raise SampleError("not a JSON object", path, f"got {record!r:.80}", offset=offset)
    return record


def open_json(path: Path) -> Records:
    """The records of a .json file, in which people also keep JSON lines.

    Raises:
        ValueError: it holds no records.
    """
    try:
        return JsonList(path)
    except ValueError:
        lines = JsonLines(path)
        if not isinstance(next(each(lines), None), dict):
            raise
        return lines


def each(records: Records) -> Iterator[Record | SampleError]:
    """All records, each whole or what is wrong with it."""
    for index in range(len(records)):
        try:
            yield records[index]
        except SampleError as error:
            yield error


def read_json(path: Path) -> Any:
    """A JSON file. Raises FileNotFoundError where there is no file, and ValueError where it is no JSON."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from error


class DelimitedRows(_Lines):
    """The rows of a .csv or .tsv, whose first line names the columns, and shows what separates them.

    Fields may be quoted. A first line that names a picture is a row, and the columns are image and caption.

    A quotation that never ends, or over several lines not as it should, spoils its own line alone.

    Raises:
        ValueError: it has no first line.
    """

    def __init__(self, path: Path):
        super().__init__(path)
        content, start, self._in_vain = self._content, 0, 0
        first = next((content[b:e] for b, e in line_ends(content) if content[b:e].strip()), b"")
        usual = "\t" if path.suffix.lower() == ".tsv" else ","
        self.header = read_header(first.decode("utf-8-sig", "replace").rstrip("\r"), usual=usual)
        self.delimiter = self.header.separator
        closings = _Closings(content, self.delimiter.encode())
        while start < len(content):
            end = self._row_end(content, start, closings)
            if content[start:end].strip():
                self._add(start, end)
            if len(self) == 1 and not self.columns:
                self.columns = self.header.columns if self.header.absent else self._fields(0)
                self.columns = distinct(self.columns, path)
            start = end + 1
        if not self.columns:
            raise ValueError(f"{path}: it is empty; its first line should name the columns")
        if not self.header.absent:
            del self._starts[0], self._ends[0]

    def _row_end(self, content: mmap | bytes, start: int, closings: "_Closings") -> int:
        """Where a row ends; the first line's end where it is damaged, or its quotation has no end."""
        _, first = next(line_ends(content, start))
        if not _quoted_at_end(content[start:first], False, self.delimiter.encode()):
            return first
        end = closings.following(first + 1)
        if end is None or end - start > min(MOST_QUOTED, MOST_IN_VAIN + 4 * start - self._in_vain):
            return first
        if self._is_row(content[start:end]):
            return end
        self._in_vain += end - start
        return first

    def _is_row(self, row: bytes) -> bool:
        try:
            fields = self._parsed(row.decode("utf-8", "replace"), strict=True)
            return not self.columns or len(fields) == len(self.columns)
        except (csv.Error, StopIteration):
            return False

    def _parsed(self, row: str, *, strict: bool = False) -> list[str]:
        lines = re.split(r"(?<=\n)", row)  # splitlines would also cut at separators within a field
        spaced = self.header.spaced
        return next(csv.reader(lines, delimiter=self.delimiter, strict=strict, skipinitialspace=spaced))

    def _fields(self, index: int) -> list[str]:
        row, offset = self._text(index), self.offset(index)
        try:
            fields = self._parsed(row)
        except (csv.Error, StopIteration) as error:
            raise SampleError("not a row", self.path, _no_row(error), offset=offset) from error
        return [field.strip() for field in fields] if self.header.spaced else fields

    def __getitem__(self, index: int) -> Record:
        fields = self._fields(index)
        if len(fields) != len(self.columns):
            detail = f"{len(fields)} fields, the first line names {len(self.columns)}"
            raise SampleError("not a row", self.path, detail, offset=self.offset(index))
        if self.header.absent:
            fields = [SHOWN.sub(r"\1", field.strip()) for field in fields]
        return dict(zip(self.columns, fields, strict=True))


def _no_row(error: Exception) -> str:
    """Why a row of csv cannot be read."""
    if "field limit" not in str(error):
        return f"not a row: {error}"
    most = f"{csv.field_size_limit():,} letters"
    return f"not a row: a cell has more than {most}, as images in base64 have: write such to files"


class _Closings:
    """The lines that close a quotation which is open where they begin; each line is searched once.

    Args:
        content: where they are sought.
        delimiter: between fields.
    """

    def __init__(self, content: mmap | bytes, delimiter: bytes):
        self._content, self._delimiter = content, delimiter
        self._sought, self._found = 0, -1

    def following(self, start: int) -> int | None:
        """Where the first of these lines from `start` on ends; what is asked for later lies behind."""
        if not self._sought <= start <= self._found:
            ends = (end for begin, end in line_ends(self._content, start) if self._closes(begin, end))
            self._sought, self._found = start, next(ends, len(self._content) + 1)
        return self._found if self._found <= len(self._content) else None

    def _closes(self, begin: int, end: int) -> bool:
        return not _quoted_at_end(self._content[begin:end], True, self._delimiter)


def _quoted_at_end(line: bytes, quoted: bool, delimiter: bytes) -> bool:
    """Whether a line ends inside a quotation, which begins with a field; `quoted` says how it begins.

    Example:
        >>> _quoted_at_end(b'a.png,"two', False, b","), _quoted_at_end(b'lines"', True, b",")
        (True, False)
    """
    position = 0
    while True:
        if quoted:
            position = line.find(b'"', position)
            if position < 0:
                return True
            quoted = line[position + 1 : position + 2] == b'"'  # two of them are a letter
            position += 2 if quoted else 1
        elif position == 0 and line.startswith(b'"'):
            quoted, position = True, 1
        else:
            position = line.find(delimiter + b'"', position)
            if position < 0:
                return False
            quoted, position = True, position + 2


def columns(records: Records) -> Sequence[str]:
    """Names of the columns, by the file or its first record that is whole."""
    return records.columns or list(next(records.first(), ()))


def distinct(columns: Sequence[str], path: Path) -> Sequence[str]:
    """The names of a file's columns. Raises ValueError where one comes twice."""
    named = [
        name for name in columns if name
    ]  # what has no name is often there twice, as Excel and pandas write
    if len(named) != len(set(named)):
        raise ValueError(f"{path}: a column is named twice: {', '.join(columns)}")
    return columns
