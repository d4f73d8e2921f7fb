"""Encodes documents of a source to codes; corrupt ones are skipped and counted. Knows no files and no
order."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence

from unitok.data.faults import Fault, Faults
from unitok.data.source import Source, read
from unitok.data.tasks import Task
from unitok.document import Codes, Document
from unitok.modalities.text import clean
from unitok.tokens.codec import Codec

log = logging.getLogger(__name__)
INSPECTED = 16
"""Documents that are inspected for texts."""


class CodedDocuments(ABC):
    """Documents of codes by index, in canonical order."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def fetch(self, indices: Sequence[int]) -> list[list[Codes] | None]:
        """Returns the codes of several documents; None for a corrupt one."""

    def peek(self, indices: Sequence[int]) -> list[Document | None]:
        """Returns documents as they are held, as content or codes; keeps and counts nothing."""
        return [None if codes is None else tuple(codes) for codes in self.fetch(indices)]

    def task(self, index: int) -> Task | None:
        """Returns the task of a document; None leaves it to the run."""
        return None

    def count(self, indices: Sequence[int], ids: Sequence[int]) -> None:  # noqa: B027 (most keep no counts)
        """Counts the documents of a batch and their numbers of ids."""


def warn_without_text(documents: CodedDocuments) -> None:
    """Warns if none of some evenly spread documents has any text."""
    indices = range(0, len(documents), max(1, len(documents) // INSPECTED))
    inspected = [codes for codes in documents.fetch(indices) if codes]
    if inspected and not any(segment.modality == "text" for codes in inspected for segment in codes):
        log.warning(
            "no text in %d of %d training documents: the model learns images alone. If there are captions, "
            "docs/your-data.md shows the layouts that are read",
            len(inspected),
            len(documents),
        )


def encode_documents(
    source: Source, codec: Codec, indices: Sequence[int], *, faults: Faults | None = None
) -> list[list[Codes] | None]:
    """Encodes documents; one that cannot be read or encoded is None, and counted in `faults`.

    Raises:
        TooManyFaults: `faults` exceeds its limit.
    """
    faults = Faults(max_share=1) if faults is None else faults
    documents = [read(source, index) for index in indices]
    intact = [document for document in documents if not isinstance(document, Fault)]
    try:
        encoded = iter(codec.encode_many(intact))
    except ValueError:  # encode one by one, to find the corrupt one
        encoded = iter([_encode(codec, document) for document in intact])
    results = [document if isinstance(document, Fault) else next(encoded) for document in documents]
    for index, result in zip(indices, results, strict=True):
        if isinstance(result, ValueError):
            faults.add(Fault("cannot be encoded", f"document {index}", str(result)))
        elif isinstance(result, Fault):
            faults.add(result)
        else:
            faults.add_intact()
    for segment in (segment for document in intact for segment in document):
        if segment.modality == "text" and clean(segment.content) != segment.content:
            faults.add_repaired()
    return [result if isinstance(result, list) else None for result in results]


def _encode(codec: Codec, document: Document) -> list[Codes] | ValueError:
    try:
        return codec.encode(document)
    except ValueError as error:
        return error
