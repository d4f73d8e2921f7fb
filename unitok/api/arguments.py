"""Checks the arguments of public calls: numbers, texts, images, documents."""

import operator
from collections.abc import Iterable
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from PIL import Image

from unitok.document import Codes, Document, Segment

Whole = SupportsIndex
"""A whole number: an int, or numpy's or torch's."""
Real = SupportsFloat
"""A number: an int or a float, or numpy's or torch's."""
Texts = str | Iterable[str]
Images = Image.Image | Iterable[Image.Image]


def whole(value: Whole, name: str, *, least: int | None = None) -> int:
    """A whole number as an int. Raises ValueError for anything else, and for one below `least`."""
    try:
        found = None if _is_truth(value) else operator.index(value)
    except TypeError:
        found = None
    if found is None:
        raise ValueError(f"{name} must be a whole number, got {told(value)}")
    if least is not None and found < least:
        raise ValueError(f"{name} is {least} or more, not {found}")
    return found


def number(value: Real, name: str) -> float:
    """A number as an int or a float. Raises ValueError for anything else."""
    try:
        found = None if _is_truth(value) or isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, RuntimeError):
        found = None
    if found is None:
        raise ValueError(f"{name} must be a number, got {told(value)}")
    return value if isinstance(value, int) else found


def listed(value: Iterable, name: str, *, of: str) -> list:
    """The items of a list, or of anything else that has some, but of no text.

    Args:
        value: what was given.
        name: what errors call it.
        of: what errors say that its items are.
    """
    if isinstance(value, str | bytes) or not _has_items(value):
        raise ValueError(f"{name} must be a list of {of}, got {told(value)}")
    return list(value)


def texts(value: Texts, name: str) -> list[str]:
    """One text or several as a list. Raises ValueError for what is none."""
    return words([value] if isinstance(value, str) else value, name)


def words(value: Iterable[str], name: str) -> list[str]:
    """Several texts as a list. Raises ValueError for a text alone, too: its letters are not meant."""
    found = listed(value, name, of="texts")
    if wrong := [item for item in found if not isinstance(item, str)]:
        raise ValueError(f"{name} must be a list of texts, got {told(wrong[0])} in it")
    return found


def images(value: Images, name: str = "images") -> list[Image.Image]:
    """One image or several as a list. Raises ValueError for what is none."""
    found = [value] if isinstance(value, Image.Image) else listed(value, name, of="PIL images")
    if wrong := [item for item in found if not isinstance(item, Image.Image)]:
        how = "PIL.Image.open reads a file, PIL.Image.fromarray an array"
        raise ValueError(f"{name} must be PIL images, got {told(wrong[0])} in it: {how}")
    return found


def documents(value: Iterable[Document], name: str = "documents") -> list[Document]:
    """Documents as a list of tuples. Raises ValueError for what is none."""
    found = listed(value, name, of="documents")
    for document in found:
        if not isinstance(document, tuple | list) or not all(
            isinstance(s, Segment | Codes) for s in document
        ):
            raise ValueError(
                f"{name} must be a list of documents, tuples of Segment, got {told(document)} in it"
            )
    return [tuple(document) for document in found]


def told(value: Any) -> str:
    """A value as errors name it: itself where it is short, else its kind."""
    plain = isinstance(value, str | int | float | bytes | None | np.generic)
    return f"{value!r:.60}" if plain else f"a {type(value).__name__}"


def _is_truth(value: Any) -> bool:
    """Whether a value is true or false, which would count as 1 or 0; numpy's and torch's are some too."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")


def _has_items(value: Any) -> bool:
    try:
        iter(value)
    except TypeError:
        return False
    return True
