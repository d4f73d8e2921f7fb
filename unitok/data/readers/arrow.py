"""Records of Parquet files and of sets saved by HF `datasets`. Needs pyarrow; knows no column by name."""

import json
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any

from unitok.data.faults import SampleError
from unitok.data.readers.records import Record, Records

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
        return class_names(json.loads(file.read_bytes())["features"])
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


class _Chunks(Records):
    """Records in chunks of rows; the chunk that was read last is held in memory."""

    def __init__(self, path: Path, sizes: list[int], classes: Mapping[str, list[str]]):
        super().__init__(path)
        self.classes = classes
        self._ends = list(accumulate(sizes))
        self._chunk, self._held = -1, None

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        number = bisect_right(self._ends, index)
        if number != self._chunk:
            try:
                self._held = self._read(number)
            except (pyarrow().ArrowException, OSError) as error:
                raise SampleError("unreadable", f"{self._name(number)}:{index}", str(error)) from error
            self._chunk = number
        row = index - (self._ends[number - 1] if number else 0)
        return self._held.slice(row, 1).to_pylist()[0]

    @abstractmethod
    def _read(self, number: int):
        """A chunk as a pyarrow Table."""

    @abstractmethod
    def _name(self, number: int) -> Path:
        """The file of a chunk."""

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_chunk": -1, "_held": None}


class ParquetRows(_Chunks):
    """The rows of one Parquet file, or of all in a list, by their row groups."""

    def __init__(self, path: Path, files: list[Path] | None = None):
        parquet, self._groups = pyarrow().parquet, []
        sizes, classes = [], {}
        for file in files or [path]:
            try:
                with parquet.ParquetFile(file) as opened:
                    described = opened.metadata
                    groups = range(described.num_row_groups)
                    sizes += [described.row_group(group).num_rows for group in groups]
                    classes[file] = _described(described.metadata)
            except pyarrow().ArrowException as error:
                raise ValueError(f"{file}: not a whole Parquet file: {error}") from error
            self._groups += [(file, group) for group in groups]
        super().__init__(path, sizes, _agreed(classes))

    def _read(self, number: int):
        file, group = self._groups[number]
        with pyarrow().parquet.ParquetFile(file) as opened:
            return opened.read_row_group(group)

    def _name(self, number: int) -> Path:
        return self._groups[number][0]


class SavedRows(_Chunks):
    """The rows of a folder that HF `datasets` wrote by `save_to_disk`, memory-mapped."""

    def __init__(self, path: Path):
        arrow = pyarrow()
        try:
            state = json.loads((path / STATE).read_bytes())
            self._files = [path / Path(file["filename"]).name for file in state["_data_files"]]
            tables = [self._table(arrow, file) for file in self._files]
        except (KeyError, TypeError, ValueError, arrow.ArrowException) as error:
            raise ValueError(f"{path}: not a whole data set of HF datasets: {error}") from error
        classes = {
            file: _described(table.schema.metadata) for file, table in zip(self._files, tables, strict=True)
        }
        super().__init__(path, [table.num_rows for table in tables], _agreed(classes) | _saved(path / INFO))

    @staticmethod
    def _table(arrow: ModuleType, file: Path):
        return arrow.ipc.open_stream(arrow.memory_map(str(file))).read_all()

    def _read(self, number: int):
        return self._table(pyarrow(), self._files[number])

    def _name(self, number: int) -> Path:
        return self._files[number]
