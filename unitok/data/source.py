"""The Source and Reader interfaces, and sources made of sources. Knows no format and no tokenizer."""

import logging
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import ClassVar

from unitok.chat_template import ChatTemplate
from unitok.data.faults import Fault, SampleError
from unitok.data.files.open_records import Look
from unitok.data.files.splits import Part, where
from unitok.data.tasks import Task
from unitok.document import Document

log = logging.getLogger(__name__)

EVERY = 20
"""Of a set without splits, every so many-th document is for validation."""


class Source(ABC):
    """A finite, random-access set of documents, each a pure function of its index.

    A picture with a caption is always `(Segment("text", caption), Segment("image", picture))`; which of the
    two comes first in training is decided later, by the task. A damaged sample that has an index raises
    SampleError when it is read, each time, and no other is read in its place; one that has none, because it
    was met while the set was indexed, is in `faults`.
    """

    faults: Sequence[Fault] = ()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Document: ...

    def told_by(self, template: ChatTemplate) -> "Source":
        """The same documents with conversations by this template; what is no conversation stays as it is."""
        return self


@cache
def tell_once(message: str) -> None:
    """Say in the log what is odd about a set, the first time; nothing is left out because of it."""
    log.warning("%s", message)


def read(source: Source, index: int) -> Document | Fault:
    """A document, or what is wrong with it."""
    try:
        return source[index]
    except SampleError as error:
        return error.fault
    except (ValueError, OSError) as error:
        return Fault("unreadable", f"document {index}", str(error))


class Reader(Source):
    """A source that reads one format, and knows it when it sees it."""

    format: ClassVar[str]
    """What `--data.format` calls it."""
    looks_like: ClassVar[str]
    """What `fits` looks for, for people."""

    @classmethod
    @abstractmethod
    def fits(cls, look: Look) -> bool:
        """Whether a file or folder looks like this format; reads as little as it can."""

    @classmethod
    def overlooked(cls, look: Look) -> Iterator[str]:
        """What at a path that fits would be lost, in words: what may hold captions, and is not read."""
        return iter(())

    @classmethod
    def open(cls, path: Path, part: Part | None, **settings) -> Source:
        """The whole set, or one part of it: here, of a set that has no splits of its own."""
        whole = cls(str(path), **settings)
        return whole if part is None else SplitOf(whole, part)


class Concat(Source):
    """Several sources, one after the other; each may have its task, and modalities that are learned."""

    def __init__(self, sources: list[Source]):
        if not sources:
            raise ValueError("Concat needs one source or more")
        self.sources = list(sources)
        self.tasks: list[Task | None] = [None] * len(self.sources)
        self.learn: list[list[str] | None] = [None] * len(self.sources)
        self.ends = list(accumulate(len(source) for source in self.sources))
        self.faults = [fault for source in self.sources for fault in source.faults]

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Document:
        number, within = self.place(index)
        return self.sources[number][within]

    @property
    def names(self) -> list[str]:
        """What logs call the sources: their kinds, numbered where one kind comes twice."""
        kinds = [type(source).__name__ for source in self.sources]
        return [
            kind if kinds.count(kind) == 1 else f"{kind} {number}" for number, kind in enumerate(kinds, 1)
        ]

    def with_each(self, change: Callable[[Source], Source]) -> "Concat":
        """The same of changed sources."""
        return Concat([change(source) for source in self.sources])

    def place(self, index: int) -> tuple[int, int]:
        """Which source has a document, and which of that source's it is."""
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} documents")
        number = bisect_right(self.ends, index)
        return number, index - (self.ends[number - 1] if number else 0)

    def told_by(self, template: ChatTemplate) -> "Concat":
        return self.with_each(lambda source: source.told_by(template))


class SplitOf(Source):
    """One part of a source that has no splits: every 20th document validates, all others train.

    A single document does both: to learn one by heart is a test.

    Raises:
        ValueError: the test part, which only a set with splits has.
    """

    def __init__(self, source: Source, part: Part, *, every: int = EVERY):
        if part == "test":
            raise ValueError("this set has no split named test: its documents are for train and val")
        self.source, self.part, self.every = source, part, every
        self.faults = source.faults if part == "train" else ()
        if len(source) == 1:
            log.warning("a set of one document: it trains and validates")
        else:
            log.info("no splits: every %dth of %d documents is for validation", every, len(source))

    def __len__(self) -> int:
        if len(self.source) == 1:
            return 1
        held = len(range(0, len(self.source), self.every))
        return held if self.part == "val" else len(self.source) - held

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} documents")
        if self.part == "val" or len(self.source) == 1:
            return self.source[index * self.every]
        return self.source[index + index // (self.every - 1) + 1]

    def told_by(self, template: ChatTemplate) -> "SplitOf":
        return SplitOf(self.source.told_by(template), self.part, every=self.every)


class Chosen(Source):
    """Some documents of a source, by their indices; what was met while it was indexed is the source's own."""

    def __init__(self, source: Source, indices: Sequence[int]):
        self.source, self.indices = source, indices
        self.faults = source.faults

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Document:
        return self.source[self.indices[index]]

    def told_by(self, template: ChatTemplate) -> "Chosen":
        return Chosen(self.source.told_by(template), self.indices)


def of_split(
    opened: Callable[[Part], Source], part: Part, there: Collection[Part], *, path: str | Path
) -> Source:
    """One split of a set that has some; without val, a share of train validates.

    Args:
        opened: opens a split that is there.
        part: the split that is wanted.
        there: the splits of the set.
        path: the set, for messages.

    Raises:
        FileNotFoundError: there is no such split.
    """
    found = where(part, there, path=path)
    source = opened(found.split)
    return source if found.share is None else SplitOf(source, found.share)
