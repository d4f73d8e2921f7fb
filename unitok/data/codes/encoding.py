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
GLANCE = 16
"""Documents that are looked at to see whether a set has texts."""


class Coded(ABC):
    """Documents of codes by index, in canonical order."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def fetch(self, indices: Sequence[int]) -> list[list[Codes] | None]:
        """Codes of several documents; None for one that is faulty."""

    def task(self, index: int) -> Task | None:
        """The task of a document; None leaves it to the run."""
        return None

    def count(self, indices: Sequence[int], ids: Sequence[int]) -> None:  # noqa: B027 (most keep no counts)
        """Told of the documents of each batch, and as how many ids each was laid out."""


def say_without_text(documents: Coded) -> None:
    """Say that there is no text to learn, where none of some documents, evenly spread, has any."""
    indices = range(0, len(documents), max(1, len(documents) // GLANCE))
    found = [codes for codes in documents.fetch(indices) if codes]
    if found and not any(segment.modality == "text" for codes in found for segment in codes):
        log.warning(
            "no text in %d of %d training documents that were looked at: the model learns images without a "
            "word. Where they have captions, docs/your-data.md shows how captions may lie",
            len(found),
            len(documents),
        )


def encode_each(
    source: Source, codec: Codec, indices: Sequence[int], *, faults: Faults | None = None
) -> list[list[Codes] | None]:
    """Codes of these documents; None for one that cannot be read or encoded, which `faults` counts.

    Raises:
        TooManyFaults: `faults` has had enough.
    """
    faults = Faults(most=1) if faults is None else faults
    found = [read(source, index) for index in indices]
    whole = [document for document in found if not isinstance(document, Fault)]
    try:
        encoded = iter(codec.encode_many(whole))
    except ValueError:  # find the faulty one
        encoded = iter([_encode(codec, document) for document in whole])
    results = [document if isinstance(document, Fault) else next(encoded) for document in found]
    for index, result in zip(indices, results, strict=True):
        if isinstance(result, ValueError):
            faults.add(Fault("cannot be encoded", f"document {index}", str(result)))
        elif isinstance(result, Fault):
            faults.add(result)
        else:
            faults.seen()
    for segment in (segment for document in whole for segment in document):
        if segment.modality == "text" and clean(segment.content) != segment.content:
            faults.repair()
    return [result if isinstance(result, list) else None for result in results]


def _encode(codec: Codec, document: Document) -> list[Codes] | ValueError:
    try:
        return codec.encode(document)
    except ValueError as error:
        return error
