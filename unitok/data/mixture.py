"""Mixtures: sources and stores with weights and tasks. Knows no format."""

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from math import isfinite

from unitok.data.codes.store import Store, read_index
from unitok.data.files.remote import local
from unitok.data.source import Concat, Source
from unitok.data.tasks import Task, learned_only
from unitok.document import Document
from unitok.tokens.codec import Codec

log = logging.getLogger(__name__)

MOST_DOCUMENTS = 2**31
"""Of an epoch; more are a slip of the weights."""


class Mixture(Concat):
    """Sources by weight: of an epoch's documents each gives its share, and of each every document comes.

    The source that is largest for its weight comes once an epoch, the others again and again; so an epoch is
    as long as that takes. A document is a function of its index alone, as everywhere.

    Args:
        sources: one or more, none of them empty; Stored for a folder of codes.
        weights: shares, one a source, above 0; they need not add up to 1.
        tasks: of each source caption, draw, both or chat; None for one that has the run's.
        learn: of each source the modalities that are learned, such as [text]; None for all.

    Raises:
        ValueError: weights that are no shares, or not one a source, and so with tasks and learn; or an empty
            source.
    """

    def __init__(
        self,
        sources: list[Source],
        weights: list[float],
        tasks: list[Task | None] | None = None,
        learn: list[list[str] | None] | None = None,
    ):
        if not sources or len(sources) != len(weights) or min(weights) <= 0:
            raise ValueError(f"{len(sources)} sources need as many weights above 0, not {weights}")
        if not all(map(isfinite, weights)):
            raise ValueError(f"weights must be finite, got {weights}")
        if not all(map(len, sources)):
            raise ValueError("a source of the mixture is empty")
        super().__init__(sources)
        self.weights = list(weights)
        self.tasks = self._one_each("tasks", tasks)
        self.learn = self._one_each("learn", learn)
        epoch = max(len(source) / weight for source, weight in zip(sources, weights, strict=True))
        self.counts = [
            max(len(source), round(epoch * weight)) for source, weight in zip(sources, weights, strict=True)
        ]
        self.ends = list(accumulate(self.counts))
        if self.ends[-1] > MOST_DOCUMENTS:
            raise ValueError(
                f"weights must be closer to each other: with {weights} an epoch would have "
                f"{self.ends[-1]:,} documents"
            )
        for name, source, count in zip(self.names, sources, self.counts, strict=True):
            log.info(
                "%s of %d documents: %d an epoch, %.1f%% of the mixture",
                *(name, len(source), count, 100 * count / self.ends[-1]),
            )

    def _one_each(self, name: str, given: Sequence | None) -> list:
        if given is not None and len(given) != len(self.sources):
            raise ValueError(f"{len(self.sources)} sources need as many {name}, not {given}")
        return list(given) if given is not None else [None] * len(self.sources)

    def place(self, index: int) -> tuple[int, int]:
        number, within = super().place(index)
        return number, within % len(self.sources[number])

    def __getitem__(self, index: int) -> Document:
        number, within = self.place(index)
        return tuple(learned_only(self.sources[number][within], self.learn[number]))

    def with_each(self, change: Callable[[Source], Source]) -> "Mixture":
        """The mixture of changed sources, with the same shares."""
        return Mixture([change(source) for source in self.sources], self.weights, self.tasks, self.learn)


class Stored(Source):
    """A folder of codes as a source of a mixture. It has no documents: training reads its codes.

    Args:
        path: the folder, also as a URL (see `remote`).

    Raises:
        FileNotFoundError: there is no store.
        ValueError: it is unfinished or damaged; or a URL that is not read.
    """

    def __init__(self, path: str):
        self.path = path
        self._count = sum(record.documents for record in read_index(local(path)).shards)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Document:
        raise TypeError(
            f"{self.path} holds codes: a mixture with it is for training, and is not encoded again"
        )

    def open(self, codec: Codec) -> Store:
        """Its codes. Raises ValueError where they are another tokenizer's."""
        return Store(self.path, codec)


def within(documents: Source) -> Iterator[Source]:
    """A source, and all that it is made of."""
    yield documents
    for source in (*getattr(documents, "sources", ()), getattr(documents, "source", None)):
        if isinstance(source, Source):
            yield from within(source)


def stores_of(documents: Source | str) -> list[str]:
    """Folders of codes among what is trained on."""
    if isinstance(documents, str):
        return [documents]
    return [source.path for source in within(documents) if isinstance(source, Stored)]


def samples_of(documents: Source | str) -> int | None:
    """How many samples are read of what is trained on, faulty ones included; None of codes alone."""
    if isinstance(documents, str | Stored):
        return None
    if is_mixed(documents):
        return sum(count for source in documents.sources if (count := samples_of(source))) or None
    return len(documents) + len(documents.faults)


def is_mixed(documents: Source) -> bool:
    """Whether codes are taken source by source: of a mixture, and of sources together with one or a store."""
    return isinstance(documents, Concat) and any(
        isinstance(source, Mixture | Stored) for source in within(documents)
    )


def more_than_documents(documents: Source) -> Mixture | Stored | None:
    """The first store, or mixture with tasks, in a source: its documents alone are not all that it says."""
    for source in within(documents):
        if isinstance(source, Stored) or (isinstance(source, Mixture) and any(source.tasks)):
            return source
    return None


def check_unmixed(documents: Source) -> None:
    """Raises ValueError where tasks or codes are inside a source that hands on documents alone."""
    source, kind = more_than_documents(documents), type(documents).__name__
    if source is not None:
        lost = "codes of a store" if isinstance(source, Stored) else f"tasks {source.tasks} of a mixture"
        raise ValueError(f"{kind} would lose the {lost}: put {kind} into the mixture, around its sources")
