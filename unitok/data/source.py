"""The Source and Reader interfaces, and sources made of sources. Knows no format and no tokenizer."""

import logging
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import ClassVar

from unitok.chat_template import ChatTemplate
from unitok.data.faults import Fault, SampleError
from unitok.data.files.open_records import FirstLook
from unitok.data.files.splits import Split, resolve_split
from unitok.data.tasks import Task
from unitok.document import Document

log = logging.getLogger(__name__)

VALIDATE_EVERY = 20
"""In a set without splits, one document in so many is for validation."""


class Source(ABC):
    """A finite, random-access set of documents, each a pure function of its index.

    A captioned image is always `(Segment("text", caption), Segment("image", image))`; the task decides later
    which of the two comes first in training. A corrupt sample with an index raises SampleError each time it
    is read, and no other is read in its place; one without an index, because it was met while the set was
    indexed, is in `faults`.
    """

    faults: Sequence[Fault] = ()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Document: ...

    def with_chat(self, template: ChatTemplate) -> "Source":
        """Returns the same documents, with conversations rendered by this template; others are unchanged."""
        return self


@cache
def warn_once(message: str) -> None:
    """Logs a warning about an oddity of a data set, the first time it occurs; no sample is skipped for it."""
    log.warning("%s", message)


def read(source: Source, index: int) -> Document | Fault:
    """Returns a document, or the fault that keeps it from being read."""
    try:
        return source[index]
    except SampleError as error:
        return error.fault
    except (ValueError, OSError) as error:
        return Fault("unreadable", f"document {index}", str(error))


def intact(source: Source) -> Iterator[Document]:
    """The documents of a source, without those that cannot be read."""
    for document in (read(source, index) for index in range(len(source))):
        if not isinstance(document, Fault):
            yield document


class Reader(Source):
    """A source that reads one format and can tell whether a path holds it."""

    format: ClassVar[str]
    """The format's name for `--data.format`."""

    @classmethod
    @abstractmethod
    def fits(cls, look: FirstLook) -> bool:
        """Whether a file or folder looks like this format; reads as little as possible."""

    @classmethod
    def find_unread(cls, look: FirstLook) -> Iterator[str]:
        """Describes what a path that fits may hold beside it, such as captions, that would not be read."""
        return iter(())

    @classmethod
    def open(cls, path: Path, split: Split | None, /, **settings) -> Source:
        """Opens the whole set, or one split of it; by default the set has no splits of its own."""
        whole = cls(str(path), **settings)
        return whole if split is None else SplitOf(whole, split)


class Concat(Source):
    """Several sources, one after the other; each may have its own task and learned modalities."""

    def __init__(self, sources: list[Source]):
        if not sources:
            raise ValueError("sources must not be empty")
        self.sources = list(sources)
        self.tasks: list[Task | None] = [None] * len(self.sources)
        self.learn: list[list[str] | None] = [None] * len(self.sources)
        self.ends = list(accumulate(len(source) for source in self.sources))
        self.faults = [fault for source in self.sources for fault in source.faults]

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Document:
        number, inner = self.locate(index)
        return self.sources[number][inner]

    @property
    def names(self) -> list[str]:
        """The names of the sources in logs: their classes, numbered where one class comes twice."""
        kinds = [type(source).__name__ for source in self.sources]
        return [
            kind if kinds.count(kind) == 1 else f"{kind} {number}" for number, kind in enumerate(kinds, 1)
        ]

    def map_sources(self, transform: Callable[[Source], Source]) -> "Concat":
        """Returns the concatenation of the transformed sources."""
        return Concat([transform(source) for source in self.sources])

    def locate(self, index: int) -> tuple[int, int]:
        """Returns the number of the source that holds a document, and the document's index there."""
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} documents")
        number = bisect_right(self.ends, index)
        return number, index - (self.ends[number - 1] if number else 0)

    def with_chat(self, template: ChatTemplate) -> "Concat":
        return self.map_sources(lambda source: source.with_chat(template))


class SplitOf(Source):
    """One split of a source that has none of its own: every 20th document validates, all others train.

    A single document does both, so that a model can be tested by overfitting one example.

    Args:
        source: a source without splits.
        part: train or val.
        every: one document in so many validates.

    Raises:
        ValueError: the split is test, which only a set with splits of its own has.
    """

    def __init__(self, source: Source, part: Split, *, every: int = VALIDATE_EVERY):
        if part == "test":
            raise ValueError("part must be train or val, got 'test': this set has no split test")
        self.source, self.part, self.every = source, part, every
        self.faults = source.faults if part == "train" else ()
        if len(source) == 1:
            log.warning("a set of one document: it is used for training and for validation")
        else:
            log.info("no splits: every %dth of %d documents is for validation", every, len(source))

    def __len__(self) -> int:
        if len(self.source) == 1:
            return 1
        val_count = len(range(0, len(self.source), self.every))
        return val_count if self.part == "val" else len(self.source) - val_count

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} documents")
        if self.part == "val" or len(self.source) == 1:
            return self.source[index * self.every]
        return self.source[index + index // (self.every - 1) + 1]

    def with_chat(self, template: ChatTemplate) -> "SplitOf":
        return SplitOf(self.source.with_chat(template), self.part, every=self.every)


class Subset(Source):
    """Some documents of a source, by their indices; the faults met in indexing are the whole source's."""

    def __init__(self, source: Source, indices: Sequence[int]):
        self.source, self.indices = source, indices
        self.faults = source.faults

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Document:
        return self.source[self.indices[index]]

    def with_chat(self, template: ChatTemplate) -> "Subset":
        return Subset(self.source.with_chat(template), self.indices)


def split_by_group(source: Source, split: Split, groups: Iterable[Hashable]) -> Source:
    """Returns one split of a source that has none of its own, in which no group of documents is in two.

    Every 20th group validates, in the order in which they come first; of a single one, every 20th document.

    Args:
        source: a source without splits.
        split: train or val.
        groups: of each document, such as the image that several captions describe.

    Raises:
        ValueError: the split is test, which only a set with splits of its own has.
    """
    numbers: dict[Hashable, int] = {}
    of_document = array("q", (numbers.setdefault(group, len(numbers)) for group in groups))
    if split == "test" or len(numbers) == 1:
        return SplitOf(source, split)
    wanted = split == "val"
    indices = (i for i, number in enumerate(of_document) if (number % VALIDATE_EVERY == 0) == wanted)
    return Subset(source, array("q", indices))


def open_split(
    opener: Callable[[Split], Source], split: Split, existing: Collection[Split], *, path: str | Path
) -> Source:
    """Opens one split of a set that has splits; without val, a share of train validates.

    Args:
        opener: opens an existing split.
        split: the split to open.
        existing: the splits of the set.
        path: the set, for error messages.

    Raises:
        FileNotFoundError: the set has no such split.
    """
    resolved = resolve_split(split, existing, path=path)
    source = opener(resolved.split)
    return source if resolved.share is None else SplitOf(source, resolved.share)
