"""Which documents make up which batch: a pure function of (seed, epoch, batch). Knows no document.

A run that resumes at batch k of an epoch therefore sees exactly what it would have seen, with any number of workers.
"""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class Batches(Sampler[list[int]]):
    """Lists of indices, one a batch; every index of this rank's share once per epoch.

    Args:
        count: number of documents.
        batch_size: documents a batch, on this rank.
        seed: of the shuffling; None keeps the order.
        start: batches to pass over in the first epoch, where a run resumes.
        rank, world: this process among how many; the documents are dealt out batch by batch.
    """

    def __init__(
        self, count: int, batch_size: int, *, seed: int | None, start: int = 0, rank: int = 0, world: int = 1
    ):
        if count < 1 or batch_size < 1:
            raise ValueError(f"{count} documents in batches of {batch_size} make no batch")
        self.count, self.batch_size, self.seed, self.start = count, batch_size, seed, start
        self.rank, self.world, self.epoch = rank, world, 0
        self._first_epoch: int | None = None

    def __len__(self) -> int:
        return -(-self.count // (self.batch_size * self.world))

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch
        if self._first_epoch is None:
            self._first_epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        resumed = self._first_epoch is None or self.epoch == self._first_epoch
        for batch in range(self.start if resumed else 0, len(self)):
            yield self.batch(self.epoch, batch)

    def batch(self, epoch: int, index: int) -> list[int]:
        """Indices of one batch of an epoch; the last one wraps around rather than being smaller on some rank."""
        order = self._order(epoch)
        first = (index * self.world + self.rank) * self.batch_size
        last = min(first + self.batch_size, self.count) if self.world == 1 else first + self.batch_size
        return [order[i % self.count] for i in range(first, last)]

    def _order(self, epoch: int) -> list[int]:
        if getattr(self, "_cached", (None,))[0] != epoch:
            if self.seed is None:
                order = list(range(self.count))
            else:
                generator = torch.Generator().manual_seed(hash((self.seed, epoch)) & (2**63 - 1))
                order = torch.randperm(self.count, generator=generator).tolist()
            self._cached = (epoch, order)
        return self._cached[1]
