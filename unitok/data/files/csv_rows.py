"""Random access to the rows of csv and tsv, with quotations over several lines, in linear time."""

import csv
import re
from mmap import mmap
from pathlib import Path

from unitok.data.faults import SampleError
from unitok.data.files.csv_headers import IMAGE_NAME_END, read_header
from unitok.data.files.records import LineRecords, Record, check_distinct, line_ends

MAX_QUOTED = 2**17
"""Most bytes of a csv row with quoted line feeds; csv has the same limit for a field."""
MAX_WASTED = 2**20
"""Most bytes of a csv that may be parsed in vain as multi-line rows, beside four for each byte."""


class DelimitedRows(LineRecords):
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
