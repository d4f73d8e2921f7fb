"""Streams of HF datasets, read in order and not stored. Needs datasets; knows no column.

A stream is for `unitok encode`, which reads in order and resumes after its last complete shard of codes.
Training reads in another order each epoch: from the codes.
"""

import logging
from collections.abc import Iterator
from copy import copy
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitok.chat_template import ChatTemplate
from unitok.data.files.arrow import class_names
from unitok.data.files.records import Record, Records
from unitok.data.readers.conversations import Llava, Messages
from unitok.data.readers.interleaved import Mmc4, Obelics
from unitok.data.readers.record_reader import RecordReader
from unitok.data.readers.tables import CaptionTable, TextTable
from unitok.data.source import Source
from unitok.document import Document

if TYPE_CHECKING:
    from datasets import IterableDataset

log = logging.getLogger(__name__)

READERS: tuple[type[RecordReader], ...] = (Llava, Messages, Obelics, Mmc4, CaptionTable, TextTable)
"""In the order in which they are tried on a stream's first row."""
MAX_RESTARTS = 16
"""Most restarts of a stream; reading out of order restarts it all the time."""


class StreamError(RuntimeError):
    """A stream that ends early, breaks off, or is read out of order; not the fault of one sample."""


class StreamedRows(Records):
    """The rows of a stream: a later row is reached by reading on, an earlier one by restarting.

    Args:
        path: a folder of files that HF `datasets` reads, or the name of a set on its hub.
        name: the set's configuration.
        split: the set's split.
        count: rows to read, from the first; if absent all, counted by reading them once where the set does
            not state their number.

    Raises:
        ValueError: datasets is not installed, or does not know the set.
    """

    INSPECTED = 1  # going back restarts the stream

    def __init__(self, path: str, *, name: str | None = None, split: str = "train", count: int | None = None):
        super().__init__(Path(path))
        self.name, self.split = name, split
        self._stream: IterableDataset | None = None
        self._rows: Iterator[Record] | None = None
        self._next, self._restarts, self._last = 0, 0, {}
        self.count = self._count() if count is None else count
        features = self._open().features
        self.classes = class_names(features.to_dict() if features else {})

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        if index == self._next - 1:
            return self._last
        if self._rows is None or index < self._next:
            self._restart()
        try:
            self._last = next(islice(self._rows, index - self._next, None))
        except StopIteration:
            raise StreamError(f"{self.path}: the stream ended before row {index} of {len(self)}") from None
        except Exception as error:  # of the network, Arrow, or whatever reads the files
            problem = f"{self.path}: the stream broke off before row {index}: {error}"
            raise StreamError(f"{problem}. Run it again: complete shards of codes are kept") from error
        self._next = index + 1
        return self._last

    def _restart(self) -> None:
        if self._restarts == MAX_RESTARTS:
            raise StreamError(
                f"{self.path}: a stream can only be read in order; encode it first, by unitok encode"
            )
        self._rows, self._next = iter(self._open()), 0
        self._restarts += 1

    def _open(self) -> "IterableDataset":
        if self._stream is None:
            try:
                import datasets
            except ImportError as error:
                raise ValueError(
                    "streams need the package datasets: pip install 'unitok-lm[data]'"
                ) from error
            try:
                stream = datasets.load_dataset(str(self.path), self.name, split=self.split, streaming=True)
            except (OSError, ValueError) as error:
                raise ValueError(f"{self.path}, split {self.split}: not found: {error}") from error
            self._stream = stream.decode(False)  # images stay bytes, for `load_image`
        return self._stream

    def _count(self) -> int:
        info = (self._open().info.splits or {}).get(self.split)
        if info is not None and info.num_examples:
            return info.num_examples
        log.info("%s: counting its rows by reading them once; count=N avoids that", self.path)
        return sum(1 for _ in self._open())

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_stream": None, "_rows": None, "_next": 0, "_last": {}}


class Streamed(Source):
    """A stream of records in a format of tables, interleaved documents or conversations.

    Args:
        path, name, split, count: see StreamedRows.
        format: table, texts, llava, messages, obelics or mmc4; if absent it is detected from the first row.
        settings: arguments of that reader, such as caption_column.

    Raises:
        ValueError: no format fits, or it is unknown; and what StreamedRows raises.
    """

    def __init__(
        self,
        path: str,
        *,
        name: str | None = None,
        split: str = "train",
        count: int | None = None,
        format: str | None = None,
        **settings: Any,
    ):
        rows = StreamedRows(path, name=name, split=split, count=count)
        if not len(rows):
            raise ValueError(f"{path}: the stream has no rows")
        fitting = [
            reader
            for reader in READERS
            if (reader.format == format if format else reader.fits_records([rows[0]]))
        ]
        if not fitting:
            names = ", ".join(reader.format for reader in READERS)
            raise ValueError(f"{path}: no known format among {names}: a row has {', '.join(rows[0])}")
        self.source: Source = fitting[0](rows, **settings)

    def with_chat(self, template: ChatTemplate) -> "Streamed":
        new = copy(self)
        new.source = self.source.with_chat(template)
        return new

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Document:
        return self.source[index]
