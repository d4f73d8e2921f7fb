"""The layout of ids with all special tokens: the only file that adds or subtracts an offset.

    text:  code0 … codeN-1  end  begin | pad  document_begin  document_end | image:  code0 … codeM-1  end
        begin | …

Text comes first, so its ids are its tokenizer's own. A modality added later gets ids after all the others.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from jaxtyping import Int64
from torch import Tensor


class Group(NamedTuple):
    """Ids among which one target is predicted, and the modality whose loss it belongs to."""

    name: str
    modality: str
    ids: range | tuple[int, ...]


class Moved(NamedTuple):
    """Ids of one layout, and the ids of another that mean the same, in order."""

    before: range
    now: range


class Vocabulary:
    """Joint ids of several modalities.

    Args:
        sizes: number of codes of each modality, in order; "text" comes first.

    Example:
        >>> words = Vocabulary({"text": 300, "image": 64})
        >>> words.end("text"), words.begin("text"), words.pad, words.document_begin, words.document_end
        (300, 301, 302, 303, 304)
        >>> words.codes("image"), words.end("image"), words.begin("image"), words.size
        (range(305, 369), 369, 370, 371)
    """

    def __init__(self, sizes: Mapping[str, int]):
        if next(iter(sizes), None) != "text":
            raise ValueError(f"the first modality must be 'text', not {list(sizes)}")
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"modality {name!r} has {size} codes")
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
            raise ValueError(f"unknown modality {name!r}; this vocabulary has {', '.join(self.sizes)}")
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
        """Ids of a modality's codes and its end: one slice."""
        return range(self.start(name), self.end(name) + 1)

    def ids(self, name: str) -> range:
        """All ids of a modality: its codes, its end and its begin."""
        return range(self.start(name), self.begin(name) + 1)

    @cached_property
    def starters(self) -> tuple[int, ...]:
        """Ids that are legal between segments: every begin, and document_end."""
        return (*(self.begin(name) for name in self.sizes), self.document_end)

    def begun_by(self, token: int) -> str | None:
        """Modality whose segment this id begins, if any."""
        return next((name for name in self.sizes if self.begin(name) == token), None)

    def to_ids(self, name: str, codes: Int64[Tensor, "*n"]) -> Int64[Tensor, "*n"]:
        """Joint ids of local codes. Raises ValueError where a code is outside 0..size-1."""
        start = self.start(name)
        wrong = _outside(codes, range(self.sizes[name]))
        if wrong is not None:
            raise ValueError(f"code {wrong} of modality {name!r} is outside 0..{self.sizes[name] - 1}")
        return codes + start

    def to_codes(self, name: str, ids: Int64[Tensor, "*n"]) -> Int64[Tensor, "*n"]:
        """Local codes of joint ids. Raises ValueError where an id belongs to something else."""
        legal = self.codes(name)
        wrong = _outside(ids, legal)
        if wrong is not None:
            raise ValueError(
                f"id {wrong} is no code of modality {name!r}, whose ids are {legal.start}..{legal.stop - 1}"
            )
        return ids - legal.start

    def to_id(self, name: str, code: int) -> int:
        """Joint id of one local code, which is one of the modality's."""
        return self.start(name) + code

    def to_code(self, name: str, token: int) -> int:
        """Local code of one joint id, which is one of the modality's codes."""
        return token - self.start(name)

    def to_range(self, name: str, codes: range) -> range:
        """Joint ids of a range of local codes."""
        return range(self.start(name) + codes.start, self.start(name) + codes.stop)

    def moved(self, before: "Vocabulary") -> list[Moved]:
        """Where the ids of another layout are in this one: of the modalities that both have, by their names.

        Of a modality with more codes in one than in the other, those that both have, its end and its begin.

        Example:
            >>> before = Vocabulary({"text": 9, "box": 5, "image": 4})
            >>> for ids in Vocabulary({"text": 9, "image": 4}).moved(before):
            ...     print(ids.before, ids.now)
            range(11, 14) range(11, 14)
            range(0, 9) range(0, 9)
            range(9, 11) range(9, 11)
            range(21, 25) range(14, 18)
            range(25, 27) range(18, 20)
        """
        found = [Moved(*(range(v.pad, v.document_end + 1) for v in (before, self)))]
        for name in (name for name in self.sizes if name in before.sizes):
            most = min(self.sizes[name], before.sizes[name])
            found.append(Moved(before.codes(name)[:most], self.codes(name)[:most]))
            found.append(Moved(*(range(v.end(name), v.begin(name) + 1) for v in (before, self))))
        return found

    def describe(self) -> list[tuple[str, int]]:
        """Names and sizes in order, as saved in a model's config."""
        return list(self.sizes.items())

    def fingerprint(self) -> str:
        """Hash of the layout; models and stores of another layout are refused by it."""
        return hashlib.sha256(json.dumps(self.describe()).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.describe() == other.describe()

    def __hash__(self) -> int:
        return hash(tuple(self.describe()))

    def __repr__(self) -> str:
        return f"Vocabulary({self.sizes}, size={self.size})"


def _outside(values: Int64[Tensor, "*n"], legal: range) -> int | None:
    """The least of the values, or the greatest, if it is not among the legal ones."""
    if not values.numel():
        return None
    least, greatest = (int(value) for value in values.aminmax())
    return next((value for value in (least, greatest) if value not in legal), None)
