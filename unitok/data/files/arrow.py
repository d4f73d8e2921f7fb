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
from unitok.data.files.records import Record, Records, distinct, read_json

RATIO, SMALL = 100, 2**28
"""Times that a part of a file may grow in memory, and bytes that any may take."""
AT_ONCE = 1024
"""Rows of Parquet that are unpacked at once, at most."""
STATE, INFO = "state.json", "dataset_info.json"


def pyarrow() -> ModuleType:
    """The package. Raises ValueError with what to install where it is missing."""
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
    """The names of the classes that columns hold by number, from HF's description of the columns as JSON."""
    columns = features.items() if isinstance(features, dict) else ()
    found = {name: _names(feature) for name, feature in columns}
    return {name: names for name, names in found.items() if names}


def _names(feature: Any) -> list[str]:
    """The names of a ClassLabel, or of the ClassLabels in a list."""
    while isinstance(feature, list) or (isinstance(feature, dict) and "feature" in feature):
        feature = feature["feature"] if isinstance(feature, dict) else next(iter(feature), None)
    names = feature.get("names") if isinstance(feature, dict) else None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _described(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """The names of classes in the metadata of an Arrow schema, as HF `datasets` writes it."""
    try:
        described = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        return class_names(described["info"]["features"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}


def _saved(file: Path) -> dict[str, list[str]]:
    """The names of classes in the description beside a set that HF `datasets` saved."""
    try:
        return class_names(read_json(file)["features"])
    except (OSError, KeyError, TypeError, ValueError, RecursionError):
        return {}


def _agreed(classes: Mapping[Path, Mapping[str, list[str]]]) -> dict[str, list[str]]:
    """The names of classes in several files. Raises ValueError where one has others than those before it."""
    found: dict[str, list[str]] = {}
    for file, named in classes.items():
        for column, names in named.items():
            if found.setdefault(column, names) != names:
                raise ValueError(
                    f"{file}: its classes in the column {column!r}, {names!r:.80}, are not those of the "
                    f"files before it, {found[column]!r:.80}: read the files one by one"
                )
    return found


def _line(error: Exception) -> str:
    """What pyarrow says, which may be several lines."""
    return " ".join(str(error).split())


class TooLarge(ValueError):
    """What would take more memory than its file can be trusted with."""

    def __init__(self, most: int):
        super().__init__(f"it unpacks to more than {most} bytes at once")


def _most(file: Path) -> int:
    """Bytes that a part of a file may take."""
    return max(SMALL, RATIO * file.stat().st_size)


def _bounded(batches: Iterable[Any], *, most: int) -> Iterator[Any]:
    """Batches of rows. Raises TooLarge as soon as they take more than `most` bytes in all."""
    size = 0
    for batch in batches:
        size += batch.nbytes
        if size > most:
            raise TooLarge(most)
        yield batch


def _values(row: Any, place: str) -> Record:
    """The values of a table of one row. Raises SampleError where Python has no such value."""
    try:
        return row.to_pylist()[0]
    except UnicodeDecodeError as error:
        raise SampleError("not UTF-8", place, f"not UTF-8: {error}") from error
    except (pyarrow().ArrowException, ValueError, OverflowError) as error:
        raise SampleError("unreadable", place, _line(error)) from error


class _Broken(NamedTuple):
    """What is wrong with a chunk."""

    reason: Reason
    detail: str


class _Chunks(Records):
    """Records in chunks of rows; the chunk that was read last is held in memory."""

    def __init__(
        self, path: Path, sizes: list[int], *, columns: Sequence[str], classes: Mapping[str, list[str]]
    ):
        super().__init__(path)
        self.columns, self.classes = distinct(columns, path), classes
        self._ends = list(accumulate(sizes))
        self._begins: dict[Path, int] = {}  # of each file, the number of its first row
        for number, size in enumerate(sizes):
            self._begins.setdefault(self._name(number), self._ends[number] - size)
        self._chunk, self._held = -1, ()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        number = bisect_right(self._ends, index)
        place = self.place(index)
        if number != self._chunk:
            self._held, self._chunk = (), number  # two chunks may not fit
            self._held = self._whole(number)
        if isinstance(self._held, _Broken):
            raise SampleError(self._held.reason, place, self._held.detail)
        row = index - (self._ends[number - 1] if number else 0)
        for batch in self._held:
            if row < batch.num_rows:
                return _values(batch.slice(row, 1), place)
            row -= batch.num_rows
        raise SampleError("truncated archive", place, "its file has fewer rows than it says")

    def place(self, index: int) -> str:
        file = self._name(bisect_right(self._ends, index))
        return f"{file}:{index - self._begins[file]}"

    def _whole(self, number: int) -> list[Any] | _Broken:
        try:
            return list(_bounded(self._read(number), most=_most(self._name(number))))
        except TooLarge as error:
            return _Broken("archive too large", str(error))
        except (pyarrow().ArrowException, OSError, ValueError) as error:
            return _Broken("unreadable", _line(error))

    @abstractmethod
    def _read(self, number: int) -> Iterator[Any]:
        """A chunk as batches of rows. Raises TooLarge where it is known to be before it is read."""

    @abstractmethod
    def _name(self, number: int) -> Path:
        """The file of a chunk."""

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_chunk": -1, "_held": ()}


class ParquetRows(_Chunks):
    """The rows of one Parquet file, or of all in a list, by their row groups."""

    def __init__(self, path: Path, files: list[Path] | None = None):
        parquet, self._groups = pyarrow().parquet, []
        sizes, columns, classes = [], [], {}
        for file in files or [path]:
            try:
                with parquet.ParquetFile(file) as opened:
                    described = opened.metadata
                    groups = range(described.num_row_groups)
                    sizes += [described.row_group(group).num_rows for group in groups]
                    classes[file] = _described(described.metadata)
                    columns = columns or opened.schema_arrow.names
            except (FileNotFoundError, PermissionError):
                raise
            except (pyarrow().ArrowException, OSError) as error:
                raise ValueError(f"{file}: not a whole Parquet file: {_line(error)}") from error
            self._groups += [(file, group) for group in groups]
        super().__init__(path, sizes, columns=columns, classes=_agreed(classes))

    def _read(self, number: int) -> Iterator[Any]:
        file, group = self._groups[number]
        most = _most(file)
        with pyarrow().parquet.ParquetFile(file) as opened:
            size = _unpacked(opened.metadata.row_group(group))
            if size > most:
                raise TooLarge(most)
            rows = max(1, most // (8 * size + 1))  # each may repeat the longest value that there is
            yield from opened.iter_batches(batch_size=min(rows, AT_ONCE), row_groups=[group])

    def _name(self, number: int) -> Path:
        return self._groups[number][0]


def _unpacked(group: Any) -> int:
    """Bytes that a row group says it has when it is no longer compressed; lists may repeat values."""
    columns = [group.column(number) for number in range(group.num_columns)]
    listed = sum(8 * column.num_values for column in columns if column.num_values > group.num_rows)
    return max(listed, sum(column.total_uncompressed_size for column in columns))


class SavedRows(_Chunks):
    """The rows of a folder that HF `datasets` wrote by `save_to_disk`, memory-mapped."""

    def __init__(self, path: Path):
        try:
            state = read_json(path / STATE)
            self._files = [path / Path(file["filename"]).name for file in state["_data_files"]]
            if not self._files:
                raise ValueError(f"its {STATE} names no file")
            sizes = [sum(batch.num_rows for batch in self._opened(file)) for file in self._files]
            classes = {file: _described(self._opened(file).schema.metadata) for file in self._files}
            columns = self._opened(self._files[0]).schema.names
        except (FileNotFoundError, PermissionError):
            raise
        except (KeyError, TypeError, ValueError, OSError, RecursionError, pyarrow().ArrowException) as error:
            raise ValueError(f"{path}: not a whole data set of HF datasets: {_line(error)}") from error
        super().__init__(path, sizes, columns=columns, classes=_agreed(classes) | _saved(path / INFO))

    @staticmethod
    def _opened(file: Path):
        if file.exists() and not file.is_file():
            raise ValueError(f"{file.name} is no file")
        return pyarrow().ipc.open_stream(pyarrow().memory_map(str(file)))

    def _read(self, number: int) -> Iterator[Any]:
        return iter(self._opened(self._files[number]))

    def _name(self, number: int) -> Path:
        return self._files[number]
