"""A data module with a codec of a test."""

from unitok.data.document_data import DocumentData
from unitok.tokens.codec import Codec


def coded(codec: Codec, *args, **settings) -> DocumentData:
    """A data module with a codec in place of its tokenizers."""
    data = DocumentData(*args, **settings)
    data.codec = codec
    return data
