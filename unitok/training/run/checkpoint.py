"""Atomic checkpoints and their names. Knows no model."""

import logging
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from unitok.atomic_files import file_beside, name_beside

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"
log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to disk, then renames: no crash or full disk costs what was there.

    The one before stays as previous.ckpt, for a last.ckpt that turns out unreadable; see `readable`.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        path = Path(path)
        with file_beside(path, durable=True) as beside:
            with beside.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())  # before anything else is touched
            if path.name == LAST and fault_of(path, whole=False) is None:
                os.replace(_second_name(path), path.with_name(PREVIOUS))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict:
        """Tensors and plain values only: a checkpoint runs no code. The trainer moves them to its device."""
        return super().load_checkpoint(path, map_location, weights_only=True)


def readable(path: str | Path) -> str:
    """The checkpoint to go on from: this one, or the one before where last.ckpt is damaged or not there.

    Raises:
        ValueError: neither can be read. A folder never is: what it holds could run code.
    """
    if "://" in str(path):
        return str(path)
    path, previous = Path(path), Path(path).with_name(PREVIOUS)
    fault = fault_of(path)
    if fault is None:
        return str(path)
    if path.name != LAST or fault_of(previous) is not None:
        raise ValueError(f"{path}: {fault}")
    log.warning("%s: %s; going on from %s", path, fault, previous.name)
    return str(previous)


def fault_of(path: Path, *, whole: bool = True) -> str | None:
    """Why a checkpoint cannot be gone on from; None where it can.

    Args:
        path: of the checkpoint.
        whole: read all of it, not only what it says that it holds.
    """
    if path.is_dir():
        return "a folder, expected one file (save_distributed_checkpoint=false writes such)"
    if not path.is_file():
        return "not there"
    try:
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        if not isinstance(content, dict) or "state_dict" not in content:
            return "not a checkpoint: it has no state_dict"
        with zipfile.ZipFile(path) as records:
            bad = records.testzip() if whole else None
    except Exception as error:  # torch raises many kinds on a damaged file
        return f"damaged, or not a checkpoint ({(str(error) or type(error).__name__).splitlines()[0][:80]})"
    return bad and f"damaged ({bad} has another checksum)"


def _second_name(path: Path) -> Path:
    """Another name for the same file, so that it is never without one."""
    other = name_beside(path)
    try:
        os.link(path, other)
    except OSError:  # a file system without links
        shutil.copyfile(path, other)
    return other


class LastCheckpoint(ModelCheckpoint):
    """Writes last.ckpt after every validation, and at the end of a fit that did not end with one."""

    def __init__(self, directory: Path):
        super().__init__(
            directory,
            filename="last",
            monitor=None,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._should_skip_saving_checkpoint(trainer):
            with _epoch_open(trainer):
                self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))


@contextmanager
def _epoch_open(trainer: Trainer) -> Iterator[None]:
    """Count the loops as they were right after the last batch.

    By the end of a fit its last epoch counts as complete, wherever the fit stopped in it; one that goes on
    from there would train an epoch less.
    """
    loop = trainer.fit_loop
    epoch, batch = loop.epoch_progress, loop.epoch_loop.batch_progress
    last = [(progress, "completed") for progress in (epoch.total, epoch.current, batch.total, batch.current)]
    last += [
        (epoch.total, "processed"),
        (epoch.current, "processed"),
        (loop.epoch_loop, "_batches_that_stepped"),
    ]
    for counter, name in last:
        setattr(counter, name, getattr(counter, name) - 1)
    try:
        yield
    finally:
        for counter, name in last:
            setattr(counter, name, getattr(counter, name) + 1)


def checkpoints(directory: Path, *, monitor: str) -> list[ModelCheckpoint]:
    """Two callbacks: `last.ckpt`, and `best.ckpt` by the monitored figure."""
    best = ModelCheckpoint(
        directory, filename="best", save_top_k=1, monitor=monitor, enable_version_counter=False
    )
    return [LastCheckpoint(directory), best]
