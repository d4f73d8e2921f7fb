"""Records of Parquet files and of sets saved by HF datasets. Needs pyarrow; knows no column by name."""

import json
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from unitok.data.faults import Reason, SampleError
from unitok.data.files.records import Record, Records, check_distinct, read_json

MAX_RATIO, ALWAYS_ALLOWED = 100, 2**28
"""Most growth of a part of a file in memory, and the bytes that any part may take."""
BATCH_ROWS = 1024
"""Most rows of Parquet that are unpacked at once."""
STATE, INFO = "state.json", "dataset_info.json"


def pyarrow() -> ModuleType:
    """Imports the package. Raises ValueError with the command to install it if it is missing."""
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError(
            "Parquet and Arrow files need the package pyarrow: pip install 'unitok-lm[data]'"
        ) from error
    return pyarrow


def class_names(features: Any) -> dict[str, list[str]]:
    """The class names of columns that hold class numbers, from HF's description of the features as JSON."""
    columns = features.items() if isinstance(features, dict) else ()
    classes = {name: _label_names(feature) for name, feature in columns}
    return {name: names for name, names in classes.items() if names}


def _label_names(feature: Any) -> list[str]:
    """The names of a ClassLabel, or of a list of them."""
    while isinstance(feature, list) or (isinstance(feature, dict) and "feature" in feature):
        feature = feature["feature"] if isinstance(feature, dict) else next(iter(feature), None)
    names = feature.get("names") if isinstance(feature, dict) else None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _classes_in_schema(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """Reads class names from the metadata of an Arrow schema written by HF `datasets`."""
    try:
        description = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        return class_names(description["info"]["features"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}


def _classes_in_info(file: Path) -> dict[str, list[str]]:
    """Reads class names from the description beside a set saved by HF `datasets`."""
    try:
        return class_names(read_json(file)["features"])
    except (OSError, KeyError, TypeError, ValueError, RecursionError):
        return {}


def _merge_classes(classes: Mapping[Path, Mapping[str, list[str]]]) -> dict[str, list[str]]:
    """Merges the class names of several files. Raises ValueError if a file differs from those before it."""
    merged: dict[str, list[str]] = {}
    for file, columns in classes.items():
        for column, names in columns.items():
            if merged.setdefault(column, names) != names:
                raise ValueError(
                    f"{file}: classes of the column {column!r} must be {merged[column]!r:.80}, as in the "
                    f"files before it, got {names!r:.80}: read the files one by one"
                )
    return merged


def _one_line(error: Exception) -> str:
    """Joins the lines of an error of pyarrow."""
    return " ".join(str(error).split())


class TooLarge(ValueError):
    """Raised for data that would take far more memory than its file."""

    def __init__(self, limit: int):
        super().__init__(f"it unpacks to more than {limit} bytes at once")


def _memory_limit(file: Path) -> int:
    """Most bytes that a part of a file may take in memory."""
    return max(ALWAYS_ALLOWED, MAX_RATIO * file.stat().st_size)


def _limit_memory(batches: Iterable[Any], *, limit: int) -> Iterator[Any]:
    """Yields batches of rows. Raises TooLarge as soon as they take more than `limit` bytes in total."""
    size = 0
    for batch in batches:
        size += batch.nbytes
        if size > limit:
            raise TooLarge(limit)
        yield batch


def _to_record(row: Any, place: str) -> Record:
    """Converts a table of one row to a record. Raises SampleError if Python has no such value."""
    try:
        return row.to_pylist()[0]
    except UnicodeDecodeError as error:
        raise SampleError("not UTF-8", place, f"not UTF-8: {error}") from error
    except (pyarrow().ArrowException, ValueError, OverflowError) as error:
        raise SampleError("unreadable", place, _one_line(error)) from error


class _ChunkFault(NamedTuple):
    """The fault of a chunk that cannot be read."""

    reason: Reason
    detail: str


class _Chunks(Records):
    """Records in chunks of rows; the last chunk read is kept in memory."""

    def __init__(
        self, path: Path, sizes: list[int], *, columns: Sequence[str], classes: Mapping[str, list[str]]
    ):
        super().__init__(path)
        self.columns, self.classes = check_distinct(columns, path), classes
        self._ends = list(accumulate(sizes))
        self._file_starts: dict[Path, int] = {}  # the number of each file's first row
        for number, size in enumerate(sizes):
            self._file_starts.setdefault(self._file(number), self._ends[number] - size)
        self._number, self._chunk = -1, ()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        number = bisect_right(self._ends, index)
        place = self.place(index)
        if number != self._number:
            self._chunk, self._number = (), number  # two chunks may not fit into memory
            self._chunk = self._read_chunk(number)
        if isinstance(self._chunk, _ChunkFault):
            raise SampleError(self._chunk.reason, place, self._chunk.detail)
        row = index - (self._ends[number - 1] if number else 0)
        for batch in self._chunk:
            if row < batch.num_rows:
                return _to_record(batch.slice(row, 1), place)
            row -= batch.num_rows
        raise SampleError("truncated archive", place, "its file has fewer rows than it claims")

    def place(self, index: int) -> str:
        file = self._file(bisect_right(self._ends, index))
        return f"{file}:{index - self._file_starts[file]}"

    def _read_chunk(self, number: int) -> list[Any] | _ChunkFault:
        try:
            return list(_limit_memory(self._read(number), limit=_memory_limit(self._file(number))))
        except TooLarge as error:
            return _ChunkFault("archive too large", str(error))
        except (pyarrow().ArrowException, OSError, ValueError) as error:
            return _ChunkFault("unreadable", _one_line(error))

    @abstractmethod
    def _read(self, number: int) -> Iterator[Any]:
        """Reads a chunk as batches of rows. Raises TooLarge if its size is known to be beyond the limit."""

    @abstractmethod
    def _file(self, number: int) -> Path:
        """The file of a chunk."""

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_number": -1, "_chunk": ()}


class ParquetRows(_Chunks):
    """The rows of one Parquet file, or of all in a list, by their row groups."""

    def __init__(self, path: Path, files: list[Path] | None = None):
        parquet, self._groups = pyarrow().parquet, []
        sizes, columns, classes = [], [], {}
        for file in files or [path]:
            try:
                with parquet.ParquetFile(file) as opened:
                    metadata = opened.metadata
                    groups = range(metadata.num_row_groups)
                    sizes += [metadata.row_group(group).num_rows for group in groups]
                    classes[file] = _classes_in_schema(metadata.metadata)
                    columns = columns or opened.schema_arrow.names
            except (FileNotFoundError, PermissionError):
                raise
            except (pyarrow().ArrowException, OSError) as error:
                raise ValueError(f"{file}: not a complete Parquet file: {_one_line(error)}") from error
            self._groups += [(file, group) for group in groups]
        super().__init__(path, sizes, columns=columns, classes=_merge_classes(classes))

    def _read(self, number: int) -> Iterator[Any]:
        file, group = self._groups[number]
        limit = _memory_limit(file)
        with pyarrow().parquet.ParquetFile(file) as opened:
            size = _unpacked_size(opened.metadata.row_group(group))
            if size > limit:
                raise TooLarge(limit)
            rows = max(1, limit // (8 * size + 1))  # each row may repeat the longest value
            yield from opened.iter_batches(batch_size=min(rows, BATCH_ROWS), row_groups=[group])

    def _file(self, number: int) -> Path:
        return self._groups[number][0]


def _unpacked_size(group: Any) -> int:
    """The uncompressed bytes that a row group claims; lists may repeat values."""
    columns = [group.column(number) for number in range(group.num_columns)]
    listed = sum(8 * column.num_values for column in columns if column.num_values > group.num_rows)
    return max(listed, sum(column.total_uncompressed_size for column in columns))


class SavedRows(_Chunks):
    """The rows of a folder written by `save_to_disk` of HF `datasets`, memory-mapped."""

    def __init__(self, path: Path):
        try:
            state = read_json(path / STATE)
            self._files = [path / Path(file["filename"]).name for file in state["_data_files"]]
            if not self._files:
                raise ValueError(f"its {STATE} names no file")
            sizes = [sum(batch.num_rows for batch in self._open(file)) for file in self._files]
            classes = {file: _classes_in_schema(self._open(file).schema.metadata) for file in self._files}
            columns = self._open(self._files[0]).schema.names
        except (FileNotFoundError, PermissionError):
            raise
        except (KeyError, TypeError, ValueError, OSError, RecursionError, pyarrow().ArrowException) as error:
            raise ValueError(f"{path}: not a complete data set of HF datasets: {_one_line(error)}") from error
        super().__init__(
            path, sizes, columns=columns, classes=_merge_classes(classes) | _classes_in_info(path / INFO)
        )

    @staticmethod
    def _open(file: Path):
        if file.exists() and not file.is_file():
            raise ValueError(f"{file.name}: not a file")
        return pyarrow().ipc.open_stream(pyarrow().memory_map(str(file)))

    def _read(self, number: int) -> Iterator[Any]:
        return iter(self._open(self._files[number]))

    def _file(self, number: int) -> Path:
        return self._files[number]
