"""The batch sampler: which documents make a batch, a pure function of (seed, number of the batch). Knows no
document.

Batches are numbered through all epochs. A run that stopped after n batches resumes with batch n, so it sees
the batches of an uninterrupted run, with any number of workers. A run that resumes with another batch size or
number of ranks starts after the documents that it has seen.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from torch.utils.data import DistributedSampler, SequentialSampler

from unitok.data.keyed_random import permutation


class DocumentBatch(NamedTuple):
    """The indices of the documents in a batch, and the epoch in which they are read."""

    epoch: int
    indices: list[int]


class Position(NamedTuple):
    """A position in the data: the batches and epochs before it, and the documents of this epoch before it."""

    batches: int = 0
    epoch: int = 0
    documents: int = 0


class DocumentBatchSampler(DistributedSampler, SequentialSampler):
    """Yields one pass over all documents, batch by batch, beginning with batch number `start()`.

    Each document is in exactly one batch of an epoch. On several ranks, the batches of a step share one slice
    of the epoch, so that all ranks take the same number of steps; the last batch of a rank may be empty.

    Args:
        count: number of documents.
        batch_size: most documents per batch.
        seed: of the order; None keeps the order of the documents, and every pass is epoch 0.
        start: called at the beginning of a pass; returns the number of batches already trained on.
        origin: where batches of this size begin; a resumed run may have had another size before.
        rank, world: this process, and the number of processes.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        *,
        seed: int | None,
        start: Callable[[], int] = int,
        origin: Position = Position(),  # noqa: B008 (it is immutable)
        rank: int = 0,
        world: int = 1,
    ):
        if count < 1 or batch_size < 1:
            raise ValueError(f"count and batch_size must be at least 1, got {count} and {batch_size}")
        # Lightning does not replace a sampler of these base classes by its own
        super().__init__(range(count), num_replicas=world, rank=rank)
        self.count, self.batch_size, self.order_seed, self.start = count, batch_size, seed, start
        self.world, self.size = world, batch_size * world
        if origin.documents >= count:
            origin = Position(origin.batches, origin.epoch + 1)
        self.origin = origin

    def __len__(self) -> int:
        """Batches per epoch, on each rank."""
        return -(-self.count // self.size)

    def __iter__(self) -> Iterator[DocumentBatch]:
        first = self.start()
        return (self.batch(number) for number in range(first, first + len(self)))

    def batch(self, number: int) -> DocumentBatch:
        """Returns a batch by its number, counted through all epochs."""
        _, epoch, first = self.position(number)
        if self.order_seed is None:
            epoch, order = 0, range(self.count)
        else:
            order = _order(self.count, self.order_seed, epoch)
        return DocumentBatch(
            epoch, [int(i) for i in order[first : first + self.size][self.rank :: self.world]]
        )

    def position(self, number: int) -> Position:
        """Returns the position before a batch, whose number must not be below that of `origin`."""
        past = number - self.origin.batches
        in_first_epoch = -(-(self.count - self.origin.documents) // self.size)
        if past < in_first_epoch:
            return Position(number, self.origin.epoch, self.origin.documents + past * self.size)
        epochs, step = divmod(past - in_first_epoch, len(self))
        return Position(number, self.origin.epoch + 1 + epochs, step * self.size)


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return permutation(count, seed=seed, epoch=epoch)
