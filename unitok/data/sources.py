"""Readers: each turns one real format into Documents. Knows no ids and no tokenizer."""

from abc import ABC, abstractmethod

from unitok.document import Document


class Source(ABC):
    """A finite, random-access set of documents, each a pure function of its index.

    A picture with a caption is always `(Segment("text", caption), Segment("image", picture))`; which of the two
    comes first in training is decided later, by the task.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Document: ...
