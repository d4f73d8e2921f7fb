"""Documents -> rows of a batch: the only place that shifts and pads. Knows ids, not what they mean.

A document of n ids gives n - 1 pairs (id, next id), so that no target crosses a document and no place is
spent on predicting from a document's last id.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from heapq import heapreplace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from unitok.document import Tokens

IGNORED = -100
EVEN = 8
"""Rows have a multiple of so many places, where they are shorter than they may be."""


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


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Bins of indices whose lengths sum to at most `capacity`: best fit decreasing, deterministic.

    Raises:
        ValueError: a length exceeds the capacity.
    """
    bins: list[list[int]] = []
    space: list[tuple[int, int]] = []  # (free, bin), sorted
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[index]
        if length > capacity:
            raise ValueError(f"document {index} takes {length} places; a row has {capacity}")
        place = bisect_left(space, (length, -1))
        free, which = space.pop(place) if place < len(space) else (capacity, len(bins))
        if which == len(bins):
            bins.append([])
        bins[which].append(index)
        insort(space, (free - length, which))
    return sorted(bins)


def balanced(lengths: Sequence[int], count: int) -> list[list[int]]:
    """`count` bins of nearly equal sums: each length, longest first, into the emptiest bin (Graham 1969)."""
    bins: list[list[int]] = [[] for _ in range(count)]
    filled = [(0, which) for which in range(count)]  # a heap
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        total, which = filled[0]
        bins[which].append(index)
        heapreplace(filled, (total + lengths[index], which))
    return [sorted(members) for members in bins]


def tightest(lengths: Sequence[int], capacity: int) -> tuple[list[list[int]], int]:
    """Bins of which the least is left empty, and their capacity: a multiple of 8, or the one given.

    Those of `best_fit`, or up to twice as many balanced ones. Six documents of 80 leave 6% of a row of 512
    empty, but four of them fill one of 320.

    Example:
        >>> tightest([80] * 8, 512)
        ([[0, 2, 4, 6], [1, 3, 5, 7]], 320)
    """
    best = best_fit(lengths, capacity), capacity
    fewest = len(best[0])
    total, longest = sum(lengths), max(lengths, default=0)
    for count in range(fewest, 2 * fewest + 1):
        if count == 0 or count * _even(max(longest, -(-total // count))) >= len(best[0]) * best[1]:
            continue  # no bins of that number could be tighter
        bins = balanced(lengths, count)
        length = _even(max(sum(lengths[i] for i in members) for members in bins))
        if length <= capacity and count * length < len(best[0]) * best[1]:
            best = bins, length
    return best


def _even(length: int) -> int:
    return -(-length // EVEN) * EVEN


def pack(documents: Sequence[Tokens], *, length: int, pad: int) -> Batch:
    """A batch with as little padding as best fit finds; of no document, a row of padding.

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
