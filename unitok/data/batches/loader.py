"""Resumable loaders: iteration starts at the batch where the trainer stopped. Knows no documents."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from unitok.data.batches.batch_sampler import DocumentBatchSampler, Place
from unitok.data.batches.packing import Batch
from unitok.data.batches.workers import heed_parent_alone, held


class ExactLoader(DataLoader):
    """Begins each pass where the trainer's own count of batches says, so there is no state to keep."""

    def __iter__(self) -> Iterator:
        with held():
            batches = super().__iter__()  # forks the workers
        for batch in _plainly(batches):
            yield self._as_tensors(batch) if _is_packed(batch, np.ndarray) else batch

    def _as_tensors(self, batch: Batch) -> Batch:
        tensors = map(torch.from_numpy, batch)
        return Batch(*(tensor.pin_memory() if self.pin_memory else tensor for tensor in tensors))

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


def _plainly(batches: Iterator) -> Iterator:
    """The same batches; what a worker raised as if this process had, without the worker's traceback."""
    try:
        yield from batches
    except ValueError as error:
        if not str(error).startswith("Caught "):
            raise
        raise ValueError(str(error).strip().splitlines()[-1].partition(": ")[2]) from error


def _is_packed(batch: Any, kind: type) -> bool:
    return isinstance(batch, Batch) and isinstance(batch.ids, kind)


def lightened(batch: Any) -> Any:
    """What a worker sends: arrays of packed documents, which pass a pipe in a tenth of the time of tensors.

    A tensor would be given shared memory and a file descriptor of its own, four of them a batch.
    """
    if get_worker_info() is not None and _is_packed(batch, Tensor):
        return Batch(*(tensor.numpy() for tensor in batch))
    return batch


def exact_loader(
    dataset: Dataset,
    trainer: Any,
    *,
    batch_size: int,
    workers: int,
    seed: int | None,
    start: Callable[[], int] = int,
    begun: Place = Place(),  # noqa: B008 (it cannot change)
) -> DataLoader:
    """A loader whose dataset makes whole batches, each of one window of its documents.

    Args:
        dataset: batches by window.
        trainer: says which process this is among how many; None for one alone.
        batch_size, seed, start, begun: of the windows.
        workers: processes that read; 0 reads in this one.
    """
    rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
    order = {"seed": seed, "start": start, "begun": begun}
    if getattr(trainer, "overfit_batches", 0):  # the same few, in every pass
        order = {"seed": None}
    windows = DocumentBatchSampler(len(dataset), batch_size, rank=rank, world=world, **order)
    return ExactLoader(
        dataset,
        sampler=windows,
        batch_size=None,
        collate_fn=lightened,
        num_workers=workers,
        worker_init_fn=heed_parent_alone,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def trained(trainer: Any) -> int:
    """Batches that a run was trained on, before and after it was resumed; 0 without a trainer."""
    return trainer.fit_loop.epoch_loop.batch_progress.total.processed if trainer else 0
