"""Mixtures: sources and stores with weights and tasks. Knows no format."""

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from math import isfinite

from unitok.data.codes.store import Store, read_index
from unitok.data.files.remote import local_path
from unitok.data.source import Concat, Source
from unitok.data.tasks import Task, learn_only
from unitok.document import Document
from unitok.tokens.codec import Codec

log = logging.getLogger(__name__)

MAX_DOCUMENTS = 2**31
"""Most documents of an epoch; more come from mistaken weights."""


class Mixture(Concat):
    """Weighted sources: each contributes its share of an epoch's documents, and every document occurs.

    The source that is largest for its weight occurs once an epoch, the others are repeated; that sets the
    length of an epoch. A document is a pure function of its index.

    Args:
        sources: one or more, none of them empty; Stored for a folder of codes.
        weights: one share per source, above 0; they need not add up to 1.
        tasks: caption, draw, both or chat for each source; None for the run's task.
        learn: the learned modalities of each source, such as [text]; None for all.

    Raises:
        ValueError: weights, tasks or learn do not match the sources, a weight is not above 0 or not finite,
            or a source is empty.
    """

    def __init__(
        self,
        sources: list[Source],
        weights: list[float],
        tasks: list[Task | None] | None = None,
        learn: list[list[str] | None] | None = None,
    ):
        if not sources or len(sources) != len(weights) or min(weights) <= 0:
            raise ValueError(f"weights must be {len(sources)} numbers above 0, one per source, got {weights}")
        if not all(map(isfinite, weights)):
            raise ValueError(f"weights must be finite, got {weights}")
        if not all(map(len, sources)):
            raise ValueError("sources of a mixture must hold documents, got an empty one")
        super().__init__(sources)
        self.weights = list(weights)
        self.tasks = self._per_source("tasks", tasks)
        self.learn = self._per_source("learn", learn)
        epoch = max(len(source) / weight for source, weight in zip(sources, weights, strict=True))
        self.counts = [
            max(len(source), round(epoch * weight)) for source, weight in zip(sources, weights, strict=True)
        ]
        self.ends = list(accumulate(self.counts))
        if self.ends[-1] > MAX_DOCUMENTS:
            raise ValueError(
                f"weights must be closer to each other: with {weights} an epoch would have "
                f"{self.ends[-1]:,} documents"
            )
        for name, source, count in zip(self.names, sources, self.counts, strict=True):
            log.info(
                "%s of %d documents: %d an epoch, %.1f%% of the mixture",
                *(name, len(source), count, 100 * count / self.ends[-1]),
            )

    def _per_source(self, name: str, values: Sequence | None) -> list:
        if values is not None and len(values) != len(self.sources):
            raise ValueError(f"{name} must have {len(self.sources)} entries, one per source, got {values}")
        return list(values) if values is not None else [None] * len(self.sources)

    def locate(self, index: int) -> tuple[int, int]:
        number, inner = super().locate(index)
        return number, inner % len(self.sources[number])

    def __getitem__(self, index: int) -> Document:
        number, inner = self.locate(index)
        return tuple(learn_only(self.sources[number][inner], self.learn[number]))

    def map_sources(self, transform: Callable[[Source], Source]) -> "Mixture":
        """Returns the mixture of the transformed sources, with the same weights."""
        return Mixture([transform(source) for source in self.sources], self.weights, self.tasks, self.learn)


class Stored(Source):
    """A store of codes as a source of a mixture. It has no documents: training reads its codes.

    Args:
        path: the store's folder, also as a URL (see `remote`).

    Raises:
        FileNotFoundError: there is no store.
        ValueError: the store is unfinished or corrupt, or the URL is not supported.
    """

    def __init__(self, path: str):
        self.path = path
        self._count = sum(record.documents for record in read_index(local_path(path)).shards)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Document:
        raise TypeError(
            f"{self.path} holds codes: a mixture with it is for training and cannot be encoded again"
        )

    def open(self, codec: Codec) -> Store:
        """Opens the store. Raises ValueError if its codes are of another tokenizer."""
        return Store(self.path, codec)


def walk_sources(documents: Source) -> Iterator[Source]:
    """Yields a source and all sources inside it."""
    yield documents
    for source in (*getattr(documents, "sources", ()), getattr(documents, "source", None)):
        if isinstance(source, Source):
            yield from walk_sources(source)


def stores_of(documents: Source | str) -> list[str]:
    """The folders of all stores in the training data."""
    if isinstance(documents, str):
        return [documents]
    return [source.path for source in walk_sources(documents) if isinstance(source, Stored)]


def count_samples(documents: Source | str) -> int | None:
    """Counts the samples that training reads, corrupt ones included; None if it reads codes alone."""
    if isinstance(documents, str | Stored):
        return None
    if is_mixed(documents):
        return sum(count for source in documents.sources if (count := count_samples(source))) or None
    return len(documents) + len(documents.faults)


def is_mixed(documents: Source) -> bool:
    """Whether codes are read source by source: for a mixture, or a Concat with a mixture or store in it."""
    return isinstance(documents, Concat) and any(
        isinstance(source, Mixture | Stored) for source in walk_sources(documents)
    )


def find_codes_or_tasks(documents: Source) -> Mixture | Stored | None:
    """Returns the first store, or mixture with tasks, in a source: documents alone would lose these."""
    for source in walk_sources(documents):
        if isinstance(source, Stored) or (isinstance(source, Mixture) and any(source.tasks)):
            return source
    return None


def check_unmixed(documents: Source) -> None:
    """Raises ValueError if tasks or codes are inside a source that passes on documents alone."""
    source, kind = find_codes_or_tasks(documents), type(documents).__name__
    if source is not None:
        lost = "codes of a store" if isinstance(source, Stored) else f"tasks {source.tasks} of a mixture"
        raise ValueError(f"{kind} would lose the {lost}: put {kind} into the mixture, around its sources")
