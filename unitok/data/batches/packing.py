"""Sequence packing: documents to rows of a batch; the only place that shifts and pads. Knows ids, not what
they mean.

A document of n ids gives n - 1 pairs (id, next id), so that no target crosses a document boundary and no
token is spent on predicting from a document's last id.
"""

from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from unitok.data.batches.bin_packing import pack_tightly
from unitok.tokens.layout import FlatIds

IGNORED = -100


class Batch(NamedTuple):
    """Rows of packed documents; `document` numbers those of a row (-1 pads), targets of -100 are ignored.

    `tiles` are the images that are shown, of whose vectors ids above the vocabulary are the numbers.
    """

    ids: Int64[Tensor, "b t"]
    positions: Int64[Tensor, "b t 3"]
    document: Int64[Tensor, "b t"]
    targets: Int64[Tensor, "b t"]
    tiles: Tensor | None = None

    @property
    def one_per_row(self) -> bool:
        """Whether no row holds a second document, so that plain causal attention suffices."""
        return not bool((self.document > 0).any())

    @property
    def documents(self) -> int:
        """Number of documents in all rows."""
        return int((self.document.amax(dim=1) + 1).sum())

    @property
    def padding(self) -> float:
        """Share of tokens that are padding."""
        return float((self.document < 0).float().mean())


def pack(documents: FlatIds, *, length: int, pad: int) -> Batch:
    """Packs documents into a batch, by `pack_tightly`; without documents it is one row of padding.

    Args:
        documents: each takes one token less than it has ids.
        length: most tokens per row.
        pad: the padding id.

    Raises:
        ValueError: a document is longer than a row.
    """
    rows, length = pack_tightly([ids - 1 for ids in documents.lengths], length)
    rows = rows or [[]]
    ids = np.full(len(rows) * length, pad, np.int64)
    positions = np.zeros((len(rows) * length, 3), np.int64)
    document = np.full(len(rows) * length, -1, np.int64)
    targets = np.full(len(rows) * length, IGNORED, np.int64)
    learned = np.where(documents.learn, documents.ids, IGNORED)
    ends = list(accumulate(documents.lengths))
    for row, members in enumerate(rows):
        start = row * length
        for number, index in enumerate(members):
            last = ends[index] - 1
            first, end = ends[index] - documents.lengths[index], start + documents.lengths[index] - 1
            ids[start:end] = documents.ids[first:last]
            positions[start:end] = documents.positions[first:last]
            document[start:end] = number
            targets[start:end] = learned[first + 1 : last + 1]
            start = end
    shape = len(rows), length
    return Batch(
        *(torch.from_numpy(array).unflatten(0, shape) for array in (ids, positions, document, targets)),
        tiles=documents.tiles,
    )
