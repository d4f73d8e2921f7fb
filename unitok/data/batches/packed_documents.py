"""A Dataset of packed batches: fetches codes, orders segments by task, lays out, packs. Knows no model."""

import logging
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64
from torch.utils.data import Dataset

from unitok.data.batches.batch_sampler import DocumentBatch
from unitok.data.batches.packing import Batch, pack
from unitok.data.codes.encoding import CodedDocuments, encode_documents
from unitok.data.codes.store import Store
from unitok.data.faults import Fault, Faults
from unitok.data.source import Source, read
from unitok.data.tasks import PAIR, UNPROMPTED, Answers, First, Task, arrange, check_task, learn_one
from unitok.document import Codes, Document
from unitok.tokens.codec import Codec

log = logging.getLogger(__name__)

MAX_SEEN = 2**31
"""Maximum bytes of features of images that are kept in memory."""
MAX_MISFITS = 64
"""Documents of a source that may be too long before the first that fits."""


class EncodedSource(CodedDocuments):
    """Encodes the documents of a source on first read; a document that cannot be encoded is None.

    Args:
        source: documents.
        codec: encodes them.
        cached: documents whose codes are kept in memory (some kB each), so that later epochs only read; fewer
            where what is seen of their images exceeds MAX_SEEN.
        faults: counts corrupt documents, including those met in indexing.
    """

    def __init__(self, source: Source, codec: Codec, *, cached: int = 100_000, faults: Faults | None = None):
        self.source, self.codec, self.cached = source, codec, cached
        self.faults = Faults(name=type(source).__name__) if faults is None else faults
        self.faults.add(*source.faults)
        self._codes: dict[int, list[Codes] | None] = {}
        self._seen_bytes = 0

    def __len__(self) -> int:
        return len(self.source)

    def fetch(self, indices: Sequence[int]) -> list[list[Codes] | None]:
        """Returns the codes of several documents, encoded together."""
        new = [index for index in dict.fromkeys(indices) if index not in self._codes]
        encoded = encode_documents(self.source, self.codec, new, faults=self.faults) if new else []
        codes = dict(zip(new, encoded, strict=True))
        self._remember(codes)
        return [codes[index] if index in codes else self._codes[index] for index in indices]

    def peek(self, indices: Sequence[int]) -> list[Document | None]:
        documents = [read(self.source, index) for index in indices]
        return [None if isinstance(document, Fault) else document for document in documents]

    def _remember(self, new: dict[int, list[Codes] | None]) -> None:
        """Keep the codes of new documents while there is space."""
        for index, codes in list(new.items())[: max(0, self.cached - len(self._codes))]:
            seen = [one.features.values for one in codes or () if one.features is not None]
            self._seen_bytes += sum(values.nbytes for values in seen)
            if self._seen_bytes > MAX_SEEN:
                return
            self._codes[index] = codes


class PackedDocuments(Dataset):
    """Packed batches, indexed by DocumentBatch: a pure function of (seed, epoch, indices).

    Documents longer than a row are dropped and reported: those of a store before the first batch, those of a
    source when they are read.

    Args:
        documents: codes in canonical order.
        codec: lays them out.
        row_length: tokens per row; a document takes one token less than it has ids.
        task: the order of segments, see `arrange`, for documents without a task of their own.
        captions: share of pairs that learn their text where the task is "both".
        condition_dropout: probability that a document keeps its last segment only.
        unprompted: modalities that are also learned without a prompt, see `arrange`.
        first: whether the first segment of a pair is learned, see TaskConfig.
        answers: how many segments of a document are learned, see TaskConfig.
        seed: of task and dropout.

    Raises:
        ValueError: no document fits a row.
    """

    def __init__(
        self,
        documents: CodedDocuments,
        codec: Codec,
        *,
        row_length: int,
        task: Task = "both",
        captions: float = 0.5,
        condition_dropout: float = 0.0,
        unprompted: Sequence[str] = UNPROMPTED,
        first: First = "learned",
        answers: Answers = "all",
        seed: int = 0,
    ):
        check_task(task, condition_dropout, captions)
        self.documents, self.codec, self.row_length = documents, codec, row_length
        self.task, self.captions, self.seed = task, captions, seed
        self.condition_dropout = condition_dropout
        self.unprompted, self.answers = tuple(unprompted), answers
        self.seen = codec.vision.modalities if codec.vision else ()
        self.shown = PAIR if first == "shown" else self.seen
        self.read = self.dropped = 0
        self.fitting = np.arange(len(documents))
        if isinstance(documents, Store):
            self.fitting = select_fitting(documents.lengths, row_length, name=str(documents.path))

    def __len__(self) -> int:
        return len(self.fitting)

    def __getitem__(self, batch: DocumentBatch) -> Batch:
        indices = self.fitting[batch.indices].tolist()
        fetched = zip(indices, self.documents.fetch(indices), strict=True)
        read = [(i, codes, self._arrange(codes, batch.epoch, i)) for i, codes in fetched if codes is not None]
        # what is seen and what is written have different lengths; else a document counts whole, whatever
        # is dropped of it
        usable = [(i, own) for i, codes, own in read if self._fits(i, own if self.seen else codes)]
        arranged = [codes for _, codes in usable]
        if self.seen:
            check_seen(arranged, self.seen)
        flat = self.codec.lay_out(arranged)
        self.documents.count([index for index, _ in usable], flat.lengths)
        return pack(flat, length=self.row_length, pad=self.codec.vocabulary.pad)

    def _arrange(self, codes: list[Codes], epoch: int, index: int) -> list[Codes]:
        key = {"seed": self.seed, "epoch": epoch, "index": index}
        arranged = arrange(
            codes,
            task=self.documents.task(index) or self.task,
            captions=self.captions,
            condition_dropout=self.condition_dropout,
            unprompted=self.unprompted,
            shown=self.shown,
            **key,
        )
        return learn_one(arranged, **key) if self.answers == "one" else arranged

    def _fits(self, index: int, codes: list[Codes]) -> bool:
        length = self.codec.length(codes) - 1
        self.read += 1
        if length <= self.row_length:
            return True
        self.dropped += 1
        if self.dropped == 1:
            log.warning(
                "document %d has %d tokens, a row has %d: such documents are dropped",
                *(index, length, self.row_length),
            )
        if self.dropped == self.read >= min(MAX_MISFITS, len(self)):
            raise ValueError(
                f"none of the first {self.read} documents fits: document {index} has {length} tokens, "
                f"row_length is {self.row_length}"
            )
        return False


def check_seen(documents: Sequence[Sequence[Codes]], seen: Sequence[str]) -> None:
    """Raises ValueError where a segment that is shown has no features: those of a store have codes alone."""
    for segment in (segment for document in documents for segment in document):
        if segment.modality in seen and not segment.learn and segment.features is None:
            raise ValueError(
                f"a model with vision sees pixels of each {segment.modality} that it is shown, but a store "
                "has codes alone: train from the source"
            )


def select_fitting(
    lengths: Int64[np.ndarray, " documents"], row_length: int, *, name: str
) -> Int64[np.ndarray, " fitting"]:
    """Returns the indices of the documents that fit a row, by their number of ids; logs how many do not."""
    tokens = lengths - 1
    fitting = np.flatnonzero(tokens <= row_length)
    if not len(fitting):
        shortest = f"the shortest has {tokens.min()}" if len(tokens) else "there is none"
        raise ValueError(f"{name}: no document fits a row of {row_length} tokens; {shortest}")
    if len(fitting) < len(tokens):
        log.warning(
            "%s: %d of %d documents are dropped: they have more than the %d tokens of a row (at most %d)",
            *(name, len(tokens) - len(fitting), len(tokens), row_length, tokens.max()),
        )
    return fitting
