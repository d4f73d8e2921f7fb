"""Documents -> rows of a batch: the only place that shifts and pads. Knows ids, not what they mean.

A document of n ids gives n - 1 pairs (id, next id), so that no target crosses a document and no place is
spent on predicting from a document's last id.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from unitok.data.bins import tightest
from unitok.document import Tokens

IGNORED = -100


class Batch(NamedTuple):
    """Rows of packed documents, numbered in a row by `document` (-1 pads); targets of -100 have no loss."""

    ids: Int64[Tensor, "b t"]
    positions: Int64[Tensor, "b t 3"]
    document: Int64[Tensor, "b t"]
    targets: Int64[Tensor, "b t"]

    @property
    def one_per_row(self) -> bool:
        """Whether no row holds a second document, so that plain causal attention is enough."""
        return not bool((self.document > 0).any())

    @property
    def padding(self) -> float:
        """Share of places that hold no document."""
        return float((self.document < 0).float().mean())


def pack(documents: Sequence[Tokens], *, length: int, pad: int) -> Batch:
    """A batch with as little padding as `tightest` finds; of no document, a row of padding.

    Args:
        documents: each takes one place less than it has ids.
        length: places of a row, at most.
        pad: id that fills the rest.

    Raises:
        ValueError: a document is longer than a row.
    """
    rows, length = tightest([len(tokens) - 1 for tokens in documents], length)
    rows = rows or [[]]
    ids = np.full((len(rows), length), pad, np.int64)
    positions = np.zeros((len(rows), length, 3), np.int64)
    document = np.full((len(rows), length), -1, np.int64)
    targets = np.full((len(rows), length), IGNORED, np.int64)
    for row, members in enumerate(rows):
        start = 0
        for number, index in enumerate(members):
            whole, places, learn = _arrays(documents[index])
            end = start + len(whole) - 1
            ids[row, start:end] = whole[:-1]
            positions[row, start:end] = places[:-1]
            document[row, start:end] = number
            np.copyto(targets[row, start:end], whole[1:], where=learn[1:])
            start = end
    return Batch(*map(torch.from_numpy, (ids, positions, document, targets)))


def _arrays(tokens: Tokens) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tokens.ids.numpy(), tokens.positions.numpy(), tokens.learn.numpy()
