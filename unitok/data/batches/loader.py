"""Resumable loaders: iteration starts at the batch where the trainer stopped. Knows no documents."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from unitok.data.batches.batch_sampler import DocumentBatchSampler, Position
from unitok.data.batches.packing import Batch
from unitok.data.batches.workers import ignore_foreign_signals, signals_blocked


class ResumableLoader(DataLoader):
    """Begins each pass at the trainer's own count of batches, so it has no state to save."""

    def __iter__(self) -> Iterator:
        with signals_blocked():
            batches = super().__iter__()  # forks the workers
        for batch in _without_worker_traceback(batches):
            yield self._as_tensors(batch) if _is_packed(batch, np.ndarray) else batch

    def _as_tensors(self, batch: Batch) -> Batch:
        arrays = {name: array for name, array in batch._asdict().items() if array is not None}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return Batch(**{name: one.pin_memory() if self.pin_memory else one for name, one in tensors.items()})

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


def _without_worker_traceback(batches: Iterator) -> Iterator:
    """Yields the same batches; an error of a worker is raised as this process's, without its traceback."""
    try:
        yield from batches
    except ValueError as error:
        if not str(error).startswith("Caught "):
            raise
        raise ValueError(str(error).strip().splitlines()[-1].partition(": ")[2]) from error


def _is_packed(batch: Any, kind: type) -> bool:
    return isinstance(batch, Batch) and isinstance(batch.ids, kind)


def to_arrays(batch: Any) -> Any:
    """Collates in a worker: packed documents become arrays, which pass a pipe ten times as fast as tensors.

    Each of a batch's tensors would get its own shared memory and file descriptor.
    """
    if get_worker_info() is not None and _is_packed(batch, Tensor):
        return Batch(*(None if tensor is None else tensor.numpy() for tensor in batch))
    return batch


def check_counts(*, batch_size: int, workers: int) -> None:
    """Raises ValueError for an empty batch or a negative number of workers."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if workers < 0:
        raise ValueError(f"workers must be 0 or more, got {workers}")


def build_loader(
    dataset: Dataset,
    trainer: Any,
    *,
    batch_size: int,
    workers: int,
    seed: int | None,
    start: Callable[[], int] = int,
    origin: Position = Position(),  # noqa: B008 (it is immutable)
) -> DataLoader:
    """Builds a loader for a dataset that returns whole batches, indexed by DocumentBatch.

    Args:
        dataset: batches by DocumentBatch.
        trainer: gives the rank and the number of processes; None for a single process.
        batch_size, seed, start, origin: see DocumentBatchSampler.
        workers: processes that read; 0 reads in this one.
    """
    rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
    order = {"seed": seed, "start": start, "origin": origin}
    if getattr(trainer, "overfit_batches", 0):  # the same few batches in every pass
        order = {"seed": None}
    sampler = DocumentBatchSampler(len(dataset), batch_size, rank=rank, world=world, **order)
    return ResumableLoader(
        dataset,
        sampler=sampler,
        batch_size=None,
        collate_fn=to_arrays,
        num_workers=workers,
        worker_init_fn=ignore_foreign_signals,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def batches_trained(trainer: Any) -> int:
    """The number of batches that a run was trained on, over all its starts; 0 without a trainer."""
    return trainer.fit_loop.epoch_loop.batch_progress.total.processed if trainer else 0
