"""A Dataset of packed batches: fetches codes, orders segments by task, lays out, packs. Knows no model."""

import logging
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64
from torch.utils.data import Dataset

from unitok.data.batches.batch_sampler import DocumentBatch
from unitok.data.batches.packing import Batch, pack
from unitok.data.codes.encoding import Coded, encode_each
from unitok.data.codes.store import Store
from unitok.data.faults import Faults
from unitok.data.source import Source
from unitok.data.tasks import UNPROMPTED, Task, arrange, check_task
from unitok.document import Codes
from unitok.tokens.codec import Codec

log = logging.getLogger(__name__)

PATIENCE = 64
"""Documents of a source that may be too long before one fits."""


class EncodedSource(Coded):
    """A source as documents of codes, encoded when they are first read; None for one that cannot be.

    Args:
        source: documents.
        codec: encodes them.
        remembered: documents whose codes are held in memory (some kB each), so that later epochs only read.
        faults: counts the faulty ones, those met in indexing too.
    """

    def __init__(
        self, source: Source, codec: Codec, *, remembered: int = 100_000, faults: Faults | None = None
    ):
        self.source, self.codec, self.remembered = source, codec, remembered
        self.faults = Faults(name=type(source).__name__) if faults is None else faults
        self.faults.add(*source.faults)
        self._codes: dict[int, list[Codes] | None] = {}

    def __len__(self) -> int:
        return len(self.source)

    def fetch(self, indices: Sequence[int]) -> list[list[Codes] | None]:
        """Codes of several documents, encoded together."""
        new = [index for index in dict.fromkeys(indices) if index not in self._codes]
        encoded = encode_each(self.source, self.codec, new, faults=self.faults) if new else []
        found = dict(zip(new, encoded, strict=True))
        self._codes |= dict(list(found.items())[: max(0, self.remembered - len(self._codes))])
        return [found[index] if index in found else self._codes[index] for index in indices]


class PackedDocuments(Dataset):
    """Batches of documents, by window: a pure function of (seed, epoch, indices).

    Documents longer than a row are dropped and reported: those of a store before any window is made, those
    of a source when they are met.

    Args:
        documents: codes in canonical order.
        codec: lays them out.
        row_length: places of a row; a document takes one place less than it has ids.
        task: the order of a document's segments, see `arrange`; of those that have no task of their own.
        condition_dropout: probability that a document keeps its last segment only.
        unprompted: modalities that are also learned without a prompt, see `arrange`.
        seed: of the draws.

    Raises:
        ValueError: no document fits a row.
    """

    def __init__(
        self,
        documents: Coded,
        codec: Codec,
        *,
        row_length: int,
        task: Task = "both",
        condition_dropout: float = 0.0,
        unprompted: Sequence[str] = UNPROMPTED,
        seed: int = 0,
    ):
        check_task(task, condition_dropout)
        self.documents, self.codec, self.row_length = documents, codec, row_length
        self.task, self.condition_dropout, self.seed = task, condition_dropout, seed
        self.unprompted = tuple(unprompted)
        self.read = self.dropped = 0
        self.kept = np.arange(len(documents))
        if isinstance(documents, Store):
            self.kept = fitting(documents.lengths, row_length, name=str(documents.path))

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, window: DocumentBatch) -> Batch:
        indices = self.kept[window.indices].tolist()
        found = zip(indices, self.documents.fetch(indices), strict=True)
        whole = [(index, codes) for index, codes in found if codes is not None and self._fits(index, codes)]
        laid = self.codec.lay_out([self._arranged(codes, window.epoch, index) for index, codes in whole])
        self.documents.count([index for index, _ in whole], laid.lengths)
        return pack(laid, length=self.row_length, pad=self.codec.vocabulary.pad)

    def _arranged(self, codes: list[Codes], epoch: int, index: int) -> list[Codes]:
        return arrange(
            codes,
            task=self.documents.task(index) or self.task,
            condition_dropout=self.condition_dropout,
            unprompted=self.unprompted,
            seed=self.seed,
            epoch=epoch,
            index=index,
        )

    def _fits(self, index: int, codes: list[Codes]) -> bool:
        places = self.codec.length(codes) - 1
        self.read += 1
        if places <= self.row_length:
            return True
        self.dropped += 1
        if self.dropped == 1:
            log.warning(
                "document %d takes %d places, a row has %d: such documents are dropped",
                *(index, places, self.row_length),
            )
        if self.dropped == self.read >= min(PATIENCE, len(self)):
            raise ValueError(
                f"none of the first {self.read} documents fits: number {index} takes {places} places, "
                f"row_length is {self.row_length}"
            )
        return False


def fitting(
    lengths: Int64[np.ndarray, " documents"], row_length: int, *, name: str
) -> Int64[np.ndarray, " kept"]:
    """Indices of the documents, of so many ids each, that fit a row; the rest is counted in the log."""
    places = lengths - 1
    kept = np.flatnonzero(places <= row_length)
    if not len(kept):
        shortest = f"the shortest takes {places.min()}" if len(places) else "there is none"
        raise ValueError(f"{name}: no document fits a row of {row_length} places; {shortest}")
    if len(kept) < len(places):
        log.warning(
            "%s: %d of %d documents are dropped: they take more than the %d places of a row (at most %d)",
            *(name, len(places) - len(kept), len(places), row_length, places.max()),
        )
    return kept
