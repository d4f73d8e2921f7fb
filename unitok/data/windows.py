"""Which documents make up which batch: a pure function of (seed, number of the batch). Knows no document.

Batches are numbered through all epochs. A run that stopped after n of them goes on with number n, so it sees
what it would have seen, with any number of workers.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from torch.utils.data import DistributedSampler

from unitok.data.draws import permutation


class Window(NamedTuple):
    """The documents of one batch, by index, and the epoch in which they are read."""

    epoch: int
    indices: list[int]


class Windows(DistributedSampler):
    """One pass over all documents, window by window, from where `start` says.

    Each document is in exactly one window of an epoch. On several ranks the windows of a step are dealt from
    one slice of the epoch, so that all ranks take equally many steps; the last window of a rank may be empty.

    Args:
        count: number of documents.
        batch_size: documents a window, at most.
        seed: of the order; None keeps it, and every pass is epoch 0.
        start: called at the beginning of a pass; the number of windows that were already trained on.
        rank, world: this process among how many.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        *,
        seed: int | None,
        start: Callable[[], int] = int,
        rank: int = 0,
        world: int = 1,
    ):
        if count < 1 or batch_size < 1:
            raise ValueError(f"{count} documents in batches of {batch_size} make no batch")
        super().__init__(
            range(count), num_replicas=world, rank=rank
        )  # its type tells Lightning to leave it be
        self.count, self.batch_size, self.order_seed, self.start = count, batch_size, seed, start
        self.world = world

    def __len__(self) -> int:
        """Windows of an epoch, on each rank."""
        return -(-self.count // (self.batch_size * self.world))

    def __iter__(self) -> Iterator[Window]:
        first = self.start()
        return (self.window(number) for number in range(first, first + len(self)))

    def window(self, number: int) -> Window:
        """The window of a number, counted through all epochs."""
        epoch, step = divmod(number, len(self))
        if self.order_seed is None:
            epoch, order = 0, range(self.count)
        else:
            order = _order(self.count, self.order_seed, epoch)
        size = self.batch_size * self.world
        return Window(
            epoch, [int(i) for i in order[step * size : (step + 1) * size][self.rank :: self.world]]
        )


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return permutation(count, seed=seed, epoch=epoch)
