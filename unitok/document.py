"""Documents as tuples of segments: raw content, its codes, and the tokens of a whole document.

Knows no tokenizer, no vocabulary and no files.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from jaxtyping import Bool, Int64
from torch import Tensor


@dataclass(frozen=True)
class Segment:
    """Raw content of one modality: a string for "text", a PIL image for "image", a Box, a Point,
    or what another modality encodes.

    `learn=False` excludes the segment from the loss.
    """

    modality: str
    content: Any
    learn: bool = True


class TurnText(str):
    """A text of a conversation, and the chat template's `marks`, whose codes it must never be encoded as."""

    marks: tuple[str, ...]

    def __new__(cls, text: str, marks: tuple[str, ...]) -> "TurnText":
        instance = super().__new__(cls, text)
        instance.marks = marks
        return instance

    def __getnewargs__(self) -> tuple[str, tuple[str, ...]]:
        return str(self), self.marks


ONE_TILE = ((1, 1),)
"""The arrangement of an image that is one tile."""


@dataclass(frozen=True, eq=False)
class Features:
    """What a bridge reads of one image that is shown, and the places of the vectors that it makes of it.

    Args:
        values: tiles as an encoder gives them [tiles, n, d], or as pixels in uint8 [tiles, 3, height, width].
        shape: (rows, columns) of a tile's vectors, or (m,) where they have no places in it.
        digest: sha256 of the image and of all shapes, which tells images apart where ids cannot.
        arrangements: (rows, columns) of tiles at each time.
    """

    values: Tensor
    shape: tuple[int, ...]
    digest: bytes
    arrangements: tuple[tuple[int, int], ...] = ONE_TILE

    @classmethod
    def of_pixels(
        cls,
        values: Tensor,
        shape: tuple[int, ...],
        pixels: bytes,
        *,
        arrangements: tuple[tuple[int, int], ...] = ONE_TILE,
    ) -> "Features":
        """Features of an image with these pixels; its values may depend on a machine's rounding."""
        shapes = f"{shape}" if arrangements == ONE_TILE else f"{shape}{arrangements}"
        return cls(values, shape, hashlib.sha256(shapes.encode() + pixels).digest(), arrangements)

    @property
    def count(self) -> int:
        """Number of vectors."""
        return prod(self.shape) * sum(rows * columns for rows, columns in self.arrangements)


@dataclass(frozen=True)
class Codes:
    """A segment as local codes 0..size-1 of its modality; `shape` is (N,) or, for images, (rows, columns).

    What is learned is written, so it is codes; with `features`, what is not learned is shown: it is read as
    vectors, and may have no codes.
    """

    modality: str
    codes: Int64[Tensor, " n"]
    shape: tuple[int, ...]
    learn: bool = True
    features: Features | None = None

    @property
    def shown(self) -> bool:
        """Whether it is read as vectors."""
        return self.features is not None and not self.learn


Document = tuple[Segment | Codes, ...]
"""Segments in order; content that is encoded already, such as a generated image, may be given as Codes."""


@dataclass(frozen=True)
class Tokens:
    """A document as joint ids with their (time, row, column) positions; `learn` marks the ids with a loss.

    Ids above the vocabulary are rows of the table of vectors that a bridge makes of `features`.
    """

    ids: Int64[Tensor, " t"]
    positions: Int64[Tensor, "t 3"]
    learn: Bool[Tensor, " t"]
    features: tuple[Features, ...] = ()

    def __len__(self) -> int:
        return self.ids.numel()

    @property
    def without_last(self) -> "Tokens":
        """The same document without its last id."""
        return replace(self, ids=self.ids[:-1], positions=self.positions[:-1], learn=self.learn[:-1])

    @property
    def digest(self) -> bytes:
        """Tells documents of equal ids with other images apart; empty without images that are shown."""
        return digest_of(self.features)


def digest_of(features: Iterable[Features]) -> bytes:
    """The digests of features, in their order."""
    return b"".join(one.digest for one in features)


def same(a: Codes, b: Codes) -> bool:
    """Whether two segments hold the same codes in the same shape, and show the same image or none."""
    return (
        a.modality == b.modality
        and tuple(a.shape) == tuple(b.shape)
        and torch.equal(a.codes, b.codes)
        and (a.features and a.features.digest) == (b.features and b.features.digest)
    )
