"""Documents as tuples of segments: raw content, its codes, and the tokens of a whole document.

Knows no tokenizer, no vocabulary and no files.
"""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Codes:
    """A segment as local codes 0..size-1 of its modality; `shape` is (N,) or, for images, (rows, columns)."""

    modality: str
    codes: Int64[Tensor, " n"]
    shape: tuple[int, ...]
    learn: bool = True


Document = tuple[Segment | Codes, ...]
"""Segments in order; content that is encoded already, such as a generated image, may be given as Codes."""


@dataclass(frozen=True)
class Tokens:
    """A document as joint ids with their (time, row, column) positions; `learn` marks the ids with a loss."""

    ids: Int64[Tensor, " t"]
    positions: Int64[Tensor, "t 3"]
    learn: Bool[Tensor, " t"]

    def __len__(self) -> int:
        return self.ids.numel()


def same(a: Codes, b: Codes) -> bool:
    """Whether two segments hold the same codes in the same shape."""
    return a.modality == b.modality and tuple(a.shape) == tuple(b.shape) and torch.equal(a.codes, b.codes)
