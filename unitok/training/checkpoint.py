"""Checkpoints that are complete or absent, and the names they go by. Knows no model."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from unitok.atomic_files import file_beside, name_beside

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to disk, then renames: no crash or full disk costs what was there.

    The one before stays as previous.ckpt and is read where last.ckpt turns out unreadable.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        path = Path(path)
        with file_beside(path, durable=True) as beside:
            with beside.open("wb") as file:
                torch.save(checkpoint, file)
            if path.name == LAST and path.is_file():
                os.replace(_second_name(path), path.with_name(PREVIOUS))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict:
        """Tensors and plain values only: a checkpoint runs no code. Raises ValueError where it is damaged."""
        try:
            return super().load_checkpoint(path, map_location, weights_only=True)
        except FileNotFoundError:
            raise
        except Exception as error:  # torch raises many kinds on a damaged file
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            previous = Path(path).with_name(PREVIOUS)
            if Path(path).name != LAST or not previous.is_file():
                raise ValueError(f"{path}: damaged, or not a checkpoint ({reason})") from error
            log.warning("%s is damaged (%s): going on from %s", path, reason, previous.name)
            return self.load_checkpoint(previous, map_location)


def _second_name(path: Path) -> Path:
    """Another name for the same file, so that it is never without one."""
    other = name_beside(path)
    try:
        os.link(path, other)
    except OSError:  # a file system without links
        shutil.copyfile(path, other)
    return other


def checkpoints(directory: Path, *, monitor: str) -> list[ModelCheckpoint]:
    """Two callbacks: `last.ckpt` after every validation, and `best.ckpt` by the monitored figure."""
    last = ModelCheckpoint(
        directory,
        filename="last",
        save_top_k=1,
        monitor=None,
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )
    best = ModelCheckpoint(
        directory, filename="best", save_top_k=1, monitor=monitor, enable_version_counter=False
    )
    return [last, best]
