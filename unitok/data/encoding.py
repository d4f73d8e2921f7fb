"""Documents of a source -> codes; the faulty ones are left out and named. Knows no files and no order."""

import logging
from collections.abc import Sequence

from unitok.codec import Codec
from unitok.data.sources import Source
from unitok.document import Codes, Document

log = logging.getLogger(__name__)


def encode_each(source: Source, codec: Codec, indices: Sequence[int]) -> list[list[Codes] | None]:
    """Codes of these documents; None for one that cannot be read or encoded: the log names it and why."""
    documents = [_read(source, index) for index in indices]
    whole = [document for document in documents if document is not None]
    try:
        encoded = iter(codec.encode_many(whole))
    except ValueError:  # find the faulty one
        encoded = iter(
            [_encode(codec, index, d) for index, d in zip(indices, documents, strict=True) if d is not None]
        )
    return [None if document is None else next(encoded) for document in documents]


def _read(source: Source, index: int) -> Document | None:
    try:
        return source[index]
    except (ValueError, OSError) as error:
        log.warning("document %d is dropped: %s", index, error)
        return None


def _encode(codec: Codec, index: int, document: Document) -> list[Codes] | None:
    try:
        return codec.encode(document)
    except ValueError as error:
        log.warning("document %d is dropped: %s", index, error)
        return None
