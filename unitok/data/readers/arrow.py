"""Records of Parquet files and of sets saved by HF `datasets`. Needs pyarrow; knows no column by name."""

import json
from abc import abstractmethod
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from types import ModuleType

from unitok.data.faults import SampleError
from unitok.data.readers.records import Record, Records

STATE = "state.json"


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


class _Chunks(Records):
    """Records in chunks of rows; the chunk that was read last is held in memory."""

    def __init__(self, path: Path, sizes: list[int]):
        super().__init__(path)
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
        sizes = []
        for file in files or [path]:
            try:
                with parquet.ParquetFile(file) as opened:
                    described = opened.metadata
                    groups = range(described.num_row_groups)
                    sizes += [described.row_group(group).num_rows for group in groups]
            except pyarrow().ArrowException as error:
                raise ValueError(f"{file}: not a whole Parquet file: {error}") from error
            self._groups += [(file, group) for group in groups]
        super().__init__(path, sizes)

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
            sizes = [self._table(arrow, file).num_rows for file in self._files]
        except (KeyError, TypeError, ValueError, arrow.ArrowException) as error:
            raise ValueError(f"{path}: not a whole data set of HF datasets: {error}") from error
        super().__init__(path, sizes)

    @staticmethod
    def _table(arrow: ModuleType, file: Path):
        return arrow.ipc.open_stream(arrow.memory_map(str(file))).read_all()

    def _read(self, number: int):
        return self._table(pyarrow(), self._files[number])

    def _name(self, number: int) -> Path:
        return self._files[number]
