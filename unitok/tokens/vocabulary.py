"""The layout of ids with all special tokens: the only file that adds or subtracts an offset.

    text:  code0 … codeN-1  end  begin | pad  document_begin  document_end | image:  code0 … codeM-1  end
        begin | …

Text comes first, so its ids are its tokenizer's own. A modality added later gets the ids after all others.
A name without codes has an end and a begin alone: it encloses vectors, whose ids are above the vocabulary.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from jaxtyping import Int64
from torch import Tensor


class Group(NamedTuple):
    """The ids among which a target is predicted, and the modality to whose loss it belongs."""

    name: str
    modality: str
    ids: range | tuple[int, ...]


class SharedIds(NamedTuple):
    """Ids of an old vocabulary, and the ids of a new one with the same meaning, in order."""

    old: range
    new: range


class Vocabulary:
    """The joint ids of several modalities.

    Args:
        sizes: number of codes of each modality, in order; "text" comes first. What has no codes is read, but
            never written.

    Example:
        >>> v = Vocabulary({"text": 300, "image": 64})
        >>> v.end("text"), v.begin("text"), v.pad, v.document_begin, v.document_end
        (300, 301, 302, 303, 304)
        >>> v.codes("image"), v.end("image"), v.begin("image"), v.size
        (range(305, 369), 369, 370, 371)
    """

    def __init__(self, sizes: Mapping[str, int]):
        if next(iter(sizes), None) != "text":
            raise ValueError(f"the first modality must be 'text', got {list(sizes)}")
        for name, size in sizes.items():
            if size < (least := int(name == "text")):
                raise ValueError(f"modality {name!r} must have at least {least} codes, got {size}")
        self.sizes = dict(sizes)
        self.pad = self.sizes["text"] + 2
        self.document_begin = self.pad + 1
        self.document_end = self.pad + 2
        self._starts, start = {"text": 0}, self.document_end + 1
        for name in list(self.sizes)[1:]:
            self._starts[name], start = start, start + self.sizes[name] + 2
        self.size = start

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names, in the order of their ids."""
        return tuple(self.sizes)

    def start(self, name: str) -> int:
        """First id of a modality. Raises ValueError for an unknown one."""
        if name not in self._starts:
            raise ValueError(f"modality must be one of {', '.join(self.sizes)}, got {name!r}")
        return self._starts[name]

    def codes(self, name: str) -> range:
        """Ids of a modality's codes."""
        return range(self.start(name), self.start(name) + self.sizes[name])

    def end(self, name: str) -> int:
        """Id that ends a segment."""
        return self.start(name) + self.sizes[name]

    def begin(self, name: str) -> int:
        """Id that begins a segment."""
        return self.end(name) + 1

    def block(self, name: str) -> range:
        """Ids of a modality's codes and its end, which are contiguous."""
        return range(self.start(name), self.end(name) + 1)

    def ids(self, name: str) -> range:
        """All ids of a modality: its codes, its end and its begin."""
        return range(self.start(name), self.begin(name) + 1)

    @cached_property
    def starters(self) -> tuple[int, ...]:
        """Ids that are legal between segments: every begin of what has codes, and document_end."""
        return (*(self.begin(name) for name, size in self.sizes.items() if size), self.document_end)

    def vectors(self, count: int) -> range:
        """Ids of the rows of a table of `count` vectors, given with a batch: those above all others."""
        return range(self.size, self.size + count)

    def modality_of_begin(self, token: int) -> str | None:
        """Modality whose segments begin with this id, if any."""
        return next((name for name in self.sizes if self.begin(name) == token), None)

    def to_ids(self, name: str, codes: Int64[Tensor, "*n"]) -> Int64[Tensor, "*n"]:
        """Joint ids of local codes. Raises ValueError where a code is outside 0..size-1."""
        start = self.start(name)
        outlier = _find_outlier(codes, range(self.sizes[name]))
        if outlier is not None:
            raise ValueError(f"codes of {name!r} must be in 0..{self.sizes[name] - 1}, got {outlier}")
        return codes + start

    def to_codes(self, name: str, ids: Int64[Tensor, "*n"]) -> Int64[Tensor, "*n"]:
        """Local codes of joint ids. Raises ValueError where an id is not a code of this modality."""
        legal = self.codes(name)
        outlier = _find_outlier(ids, legal)
        if outlier is not None:
            raise ValueError(f"ids of {name!r} must be in {legal.start}..{legal.stop - 1}, got {outlier}")
        return ids - legal.start

    def to_id(self, name: str, code: int) -> int:
        """Joint id of one local code, unchecked."""
        return self.start(name) + code

    def to_code(self, name: str, token: int) -> int:
        """Local code of one joint id, unchecked."""
        return token - self.start(name)

    def to_range(self, name: str, codes: range) -> range:
        """Joint ids of a range of local codes."""
        return range(self.start(name) + codes.start, self.start(name) + codes.stop)

    def shared_ids(self, old: "Vocabulary") -> list[SharedIds]:
        """Map the ids of an old vocabulary to this one, for the modalities that both have, by name.

        Where a modality has more codes in one of them, the common codes, its end and its begin are mapped.

        Example:
            >>> old = Vocabulary({"text": 9, "box": 5, "image": 4})
            >>> for ids in Vocabulary({"text": 9, "image": 4}).shared_ids(old):
            ...     print(ids.old, ids.new)
            range(11, 14) range(11, 14)
            range(0, 9) range(0, 9)
            range(9, 11) range(9, 11)
            range(21, 25) range(14, 18)
            range(25, 27) range(18, 20)
        """
        shared = [SharedIds(*(range(v.pad, v.document_end + 1) for v in (old, self)))]
        for name in (name for name in self.sizes if name in old.sizes):
            count = min(self.sizes[name], old.sizes[name])
            shared.append(SharedIds(old.codes(name)[:count], self.codes(name)[:count]))
            shared.append(SharedIds(*(range(v.end(name), v.begin(name) + 1) for v in (old, self))))
        return shared

    def describe(self) -> list[tuple[str, int]]:
        """Names and sizes in order, as saved in a model's config."""
        return list(self.sizes.items())

    def fingerprint(self) -> str:
        """Hash of the layout, by which models and stores with another layout are rejected."""
        return hashlib.sha256(json.dumps(self.describe()).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.describe() == other.describe()

    def __hash__(self) -> int:
        return hash(tuple(self.describe()))

    def __repr__(self) -> str:
        return f"Vocabulary({self.sizes}, size={self.size})"


def _find_outlier(values: Int64[Tensor, "*n"], legal: range) -> int | None:
    """Returns the minimum or maximum of the values if it is illegal, else None."""
    if not values.numel():
        return None
    minimum, maximum = (int(value) for value in values.aminmax())
    return next((value for value in (minimum, maximum) if value not in legal), None)
