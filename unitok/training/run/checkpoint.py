"""Atomic checkpoints and their names. Knows no model."""

import logging
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from unitok.atomic_files import atomic_file, temporary_name

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"
RUN_CONFIG = "logs/config.yaml"
"""The settings of a run, in its folder."""
WORSE = 0.01
"""Share by which a validation must be worse than the best one, to be worse beyond its noise."""
log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to disk, then renames: a crash or full disk loses no checkpoint.

    The previous last.ckpt stays as previous.ckpt, in case last.ckpt turns out unreadable; see
    `choose_readable`.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        path = Path(path)
        with atomic_file(path, durable=True) as beside:
            with beside.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())  # before any other file changes
            if path.name == LAST and find_fault(path, complete=False) is None:
                os.replace(_link_or_copy(path), path.with_name(PREVIOUS))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict:
        """Load only tensors and plain values: a checkpoint must not run code. The trainer moves tensors to
        its device."""
        return super().load_checkpoint(path, map_location, weights_only=True)


def choose_readable(path: str | Path) -> str:
    """The checkpoint to resume from: this one, or previous.ckpt if this is a corrupt or missing last.ckpt.

    Raises:
        ValueError: neither can be read, or it is a folder, whose contents could run code.
    """
    if "://" in str(path):
        return str(path)
    path, previous = Path(path), Path(path).with_name(PREVIOUS)
    fault = find_fault(path)
    if fault is None:
        return str(path)
    if path.name != LAST or find_fault(previous) is not None:
        raise ValueError(f"{path}: {fault}")
    log.warning("%s: %s; resuming from %s", path, fault, previous.name)
    return str(previous)


def find_fault(path: Path, *, complete: bool = True) -> str | None:
    """Why a run cannot resume from a checkpoint; None if it can.

    Args:
        path: of the checkpoint.
        complete: verify the checksums of its contents too.
    """
    if path.is_dir():
        return "a folder, expected one file (set save_distributed_checkpoint=false)"
    if not path.is_file():
        return "not found"
    try:
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        if not isinstance(content, dict) or "state_dict" not in content:
            return "not a checkpoint: it has no state_dict"
        with zipfile.ZipFile(path) as records:
            bad = records.testzip() if complete else None
    except Exception as error:  # torch raises many kinds on a corrupt file
        return f"corrupt, or not a checkpoint ({(str(error) or type(error).__name__).splitlines()[0][:80]})"
    return bad and f"corrupt (wrong checksum of {bad})"


def _link_or_copy(path: Path) -> Path:
    """A second name for the same file, so that it always has one while it is renamed."""
    other = temporary_name(path)
    try:
        os.link(path, other)
    except OSError:  # a file system without links
        shutil.copyfile(path, other)
    return other


class LastCheckpoint(ModelCheckpoint):
    """Writes last.ckpt after every validation, and at the end of a fit that does not end with one."""

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
            with _unfinished_epoch(trainer):
                self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))


@contextmanager
def _unfinished_epoch(trainer: Trainer) -> Iterator[None]:
    """Restore the loops' counters of the moment right after the last batch, within the context.

    At the end of a fit Lightning counts its last epoch as complete, wherever in it the fit stopped; a run
    resumed from there would train an epoch less.
    """
    loop = trainer.fit_loop
    epoch, batch = loop.epoch_progress, loop.epoch_loop.batch_progress
    counters = [
        (progress, "completed") for progress in (epoch.total, epoch.current, batch.total, batch.current)
    ]
    counters += [
        (epoch.total, "processed"),
        (epoch.current, "processed"),
        (loop.epoch_loop, "_batches_that_stepped"),
    ]
    for counter, name in counters:
        setattr(counter, name, getattr(counter, name) - 1)
    try:
        yield
    finally:
        for counter, name in counters:
            setattr(counter, name, getattr(counter, name) + 1)


class BestWeights(NamedTuple):
    """The weights of the best validation: their step, and why they are better than the last ones."""

    state_dict: dict[str, Tensor]
    step: int
    reason: str


def best_weights(trainer: Trainer) -> BestWeights | None:
    """The weights of best.ckpt, where the last validation was worse by over a hundredth; None elsewhere."""
    monitored = [callback for callback in trainer.checkpoint_callbacks if callback.monitor is not None]
    for best in monitored:
        last = trainer.callback_metrics.get(best.monitor)
        if last is None or best.best_model_score is None or not Path(best.best_model_path).is_file():
            continue
        if trainer.lightning_module.device_mesh is None and last > best.best_model_score * (1 + WORSE):
            saved = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
            reason = f"their {best.monitor} {best.best_model_score:.4g} was the best, the last one {last:.4g}"
            return BestWeights(saved["state_dict"], saved["global_step"], reason)
    return None


def checkpoints(directory: Path, *, monitor: str) -> list[ModelCheckpoint]:
    """The callbacks that write `last.ckpt`, and `best.ckpt` by the monitored metric."""
    best = ModelCheckpoint(
        directory, filename="best", save_top_k=1, monitor=monitor, enable_version_counter=False
    )
    return [LastCheckpoint(directory), best]
