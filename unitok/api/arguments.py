"""Checks the arguments of public calls: numbers, texts, images, documents."""

import operator
from collections.abc import Iterable
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from PIL import Image

from unitok.document import Codes, Document, Segment

IntLike = SupportsIndex
"""An int, or an integer of numpy or torch."""
FloatLike = SupportsFloat
"""An int or a float, or a number of numpy or torch."""
Texts = str | Iterable[str]
Images = Image.Image | Iterable[Image.Image]


def as_int(value: IntLike, name: str, *, minimum: int | None = None) -> int:
    """Convert an integer of any library to an int.

    Raises:
        ValueError: it is not an integer, or is less than `minimum`.
    """
    try:
        number = None if _is_bool(value) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise ValueError(f"{name} must be an integer, got {describe(value)}")
    if minimum is not None and number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    return number


def as_float(value: FloatLike, name: str) -> float:
    """Convert a number of any library to a float; an int stays one. Raises ValueError for anything else."""
    try:
        number = None if _is_bool(value) or isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, RuntimeError):
        number = None
    if number is None:
        raise ValueError(f"{name} must be a number, got {describe(value)}")
    return value if isinstance(value, int) else number


def as_list(value: Iterable, name: str, *, of: str) -> list:
    """Convert any iterable except a string to a list.

    Args:
        value: the iterable.
        name: its name in error messages.
        of: its items in error messages.
    """
    if isinstance(value, str | bytes) or not _is_iterable(value):
        raise ValueError(f"{name} must be a list of {of}, got {describe(value)}")
    return list(value)


def as_texts(value: Texts, name: str) -> list[str]:
    """Convert one text or several to a list. Raises ValueError for anything else."""
    return as_text_list([value] if isinstance(value, str) else value, name)


def as_text_list(value: Iterable[str], name: str) -> list[str]:
    """Convert several texts to a list. Raises ValueError for anything else, and for a single text."""
    texts = as_list(value, name, of="strings")
    if wrong := [item for item in texts if not isinstance(item, str)]:
        raise ValueError(f"{name} must be a list of strings, got {describe(wrong[0])} in it")
    return texts


def as_images(value: Images, name: str = "images") -> list[Image.Image]:
    """Convert one image or several to a list. Raises ValueError for anything else."""
    images = [value] if isinstance(value, Image.Image) else as_list(value, name, of="PIL images")
    if wrong := [item for item in images if not isinstance(item, Image.Image)]:
        hint = "PIL.Image.open reads a file, PIL.Image.fromarray an array"
        raise ValueError(f"{name} must be PIL images, got {describe(wrong[0])} in it: {hint}")
    return images


def as_documents(value: Iterable[Document], name: str = "documents") -> list[Document]:
    """Convert documents to a list of tuples. Raises ValueError for anything else."""
    documents = as_list(value, name, of="documents")
    for document in documents:
        if not isinstance(document, tuple | list) or not all(
            isinstance(s, Segment | Codes) for s in document
        ):
            raise ValueError(
                f"{name} must be a list of documents, tuples of Segment, got {describe(document)} in it"
            )
    return [tuple(document) for document in documents]


def describe(value: Any) -> str:
    """A value as error messages name it: its repr if it is short, else its type."""
    plain = isinstance(value, str | int | float | bytes | None | np.generic)
    return f"{value!r:.60}" if plain else f"a {type(value).__name__}"


def _is_bool(value: Any) -> bool:
    """Whether a value is a bool of Python, numpy or torch, which would otherwise pass as 0 or 1."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")


def _is_iterable(value: Any) -> bool:
    try:
        iter(value)
    except TypeError:
        return False
    return True
