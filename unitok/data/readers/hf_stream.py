"""Streams of HF datasets, read in order and not stored. Needs datasets; knows no column.

A stream is for `train/encode.py`, which reads in order and goes on after its last whole file of codes.
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
from unitok.data.readers.tables import CaptionTable, RecordReader, TextTable
from unitok.data.source import Source
from unitok.document import Document

if TYPE_CHECKING:
    from datasets import IterableDataset

log = logging.getLogger(__name__)

READERS: tuple[type[RecordReader], ...] = (Llava, Messages, Obelics, Mmc4, CaptionTable, TextTable)
"""In the order in which a stream's first row is tried."""
MOST_RETURNS = 16
"""Times that a stream may begin again; reading in another order does so all the time."""


class StreamError(RuntimeError):
    """A stream that ends or breaks off, or is read in another order; no fault of one sample."""


class StreamedRows(Records):
    """The rows of a stream: a later one is reached by reading on, an earlier one by beginning again.

    Args:
        path: a folder of files that HF `datasets` knows, or the name of a set at its hub.
        name: of the set's configuration.
        split: of the set.
        count: rows that are taken, from the first on; if absent all, which are counted by reading them once
            where the set does not say it.

    Raises:
        ValueError: datasets is not installed, or knows no such set.
    """

    GLANCE = 1  # a stream that returns begins again

    def __init__(self, path: str, *, name: str | None = None, split: str = "train", count: int | None = None):
        super().__init__(Path(path))
        self.name, self.split = name, split
        self._stream: IterableDataset | None = None
        self._rows: Iterator[Record] | None = None
        self._next, self._returns, self._last = 0, 0, {}
        self.count = self._count() if count is None else count
        features = self._opened().features
        self.classes = class_names(features.to_dict() if features else {})

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        if index == self._next - 1:
            return self._last
        if self._rows is None or index < self._next:
            self._return()
        try:
            self._last = next(islice(self._rows, index - self._next, None))
        except StopIteration:
            raise StreamError(f"{self.path}: the stream ended before row {index} of {len(self)}") from None
        except Exception as error:  # of the network, of Arrow, of whatever reads the files
            problem = f"{self.path}: the stream broke off before row {index}: {error}"
            raise StreamError(f"{problem}. Run it again: whole files of codes are kept") from error
        self._next = index + 1
        return self._last

    def _return(self) -> None:
        """Begin again."""
        if self._returns == MOST_RETURNS:
            raise StreamError(f"{self.path}: a stream is read in order; encode it first, by train/encode.py")
        self._rows, self._next = iter(self._opened()), 0
        self._returns += 1

    def _opened(self) -> "IterableDataset":
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
                raise ValueError(f"{self.path}, split {self.split}: no such set: {error}") from error
            self._stream = stream.decode(False)  # pictures stay bytes, for `load_image`
        return self._stream

    def _count(self) -> int:
        known = (self._opened().info.splits or {}).get(self.split)
        if known is not None and known.num_examples:
            return known.num_examples
        log.info("%s: counting its rows, by reading them once; count=N spares that", self.path)
        return sum(1 for _ in self._opened())

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_stream": None, "_rows": None, "_next": 0, "_last": {}}


class Streamed(Source):
    """A stream of records in one of the formats of tables, pages and conversations.

    Args:
        path, name, split, count: see StreamedRows.
        format: table, texts, llava, messages, obelics or mmc4; if absent, what the first row looks like.
        settings: arguments of that reader, such as caption_column.

    Raises:
        ValueError: no format fits, or one is unknown; and what StreamedRows raises.
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
            raise ValueError(f"{path}: the stream has no row")
        found = [
            kind for kind in READERS if (kind.format == format if format else kind.fits_records([rows[0]]))
        ]
        if not found:
            names = ", ".join(kind.format for kind in READERS)
            raise ValueError(f"{path}: no known format among {names}: a row has {', '.join(rows[0])}")
        self.source: Source = found[0](rows, **settings)

    def told_by(self, template: ChatTemplate) -> "Streamed":
        told = copy(self)
        told.source = self.source.told_by(template)
        return told

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Document:
        return self.source[index]
