"""The batch sampler: which documents make a batch, a pure function of (seed, number of the batch). Knows no
document.

Batches are numbered through all epochs. A run that stopped after n of them goes on with number n, so it sees
what it would have seen, with any number of workers. One that goes on with batches of another size, or on more
or fewer ranks, begins after the documents that it has seen.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from torch.utils.data import DistributedSampler, SequentialSampler

from unitok.data.keyed_random import permutation


class DocumentBatch(NamedTuple):
    """The documents of one batch, by index, and the epoch in which they are read."""

    epoch: int
    indices: list[int]


class Place(NamedTuple):
    """Where a run is: that many batches and epochs are behind it, and so many documents of this epoch."""

    batches: int = 0
    epoch: int = 0
    documents: int = 0


class DocumentBatchSampler(DistributedSampler, SequentialSampler):
    """One pass over all documents, window by window, from where `start` says.

    Each document is in exactly one window of an epoch. On several ranks the windows of a step are dealt from
    one slice of the epoch, so that all ranks take equally many steps; the last window of a rank may be empty.

    Args:
        count: number of documents.
        batch_size: documents a window, at most.
        seed: of the order; None keeps it, and every pass is epoch 0.
        start: called at the beginning of a pass; the number of windows that were already trained on.
        begun: where windows of this size begin, which may be after others.
        rank, world: this process among how many.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        *,
        seed: int | None,
        start: Callable[[], int] = int,
        begun: Place = Place(),  # noqa: B008 (it cannot change)
        rank: int = 0,
        world: int = 1,
    ):
        if count < 1 or batch_size < 1:
            raise ValueError(f"{count} documents in batches of {batch_size} make no batch")
        super().__init__(
            range(count), num_replicas=world, rank=rank
        )  # its types tell Lightning to leave it be
        self.count, self.batch_size, self.order_seed, self.start = count, batch_size, seed, start
        self.world, self.size = world, batch_size * world
        if begun.documents >= count:
            begun = Place(begun.batches, begun.epoch + 1)
        self.begun = begun

    def __len__(self) -> int:
        """Windows of an epoch, on each rank."""
        return -(-self.count // self.size)

    def __iter__(self) -> Iterator[DocumentBatch]:
        first = self.start()
        return (self.window(number) for number in range(first, first + len(self)))

    def window(self, number: int) -> DocumentBatch:
        """The window of a number, counted through all epochs."""
        _, epoch, first = self.place(number)
        if self.order_seed is None:
            epoch, order = 0, range(self.count)
        else:
            order = _order(self.count, self.order_seed, epoch)
        return DocumentBatch(
            epoch, [int(i) for i in order[first : first + self.size][self.rank :: self.world]]
        )

    def place(self, number: int) -> Place:
        """Where a run is before the window of a number, which is not below that of `begun`."""
        past = number - self.begun.batches
        in_first_epoch = -(-(self.count - self.begun.documents) // self.size)
        if past < in_first_epoch:
            return Place(number, self.begun.epoch, self.begun.documents + past * self.size)
        epochs, step = divmod(past - in_first_epoch, len(self))
        return Place(number, self.begun.epoch + 1 + epochs, step * self.size)


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return permutation(count, seed=seed, epoch=epoch)
