"""Checkpoints that are complete or absent, and the names they go by. Knows no model."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to disk, then renames: a crash or a full disk costs no earlier
    checkpoint."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with beside.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict:
        """Tensors and plain values only: a checkpoint runs no code. Raises ValueError where it is damaged."""
        try:
            return super().load_checkpoint(path, map_location, weights_only=True)
        except FileNotFoundError:
            raise
        except Exception as error:  # torch raises many kinds on a damaged file
            raise ValueError(
                f"{path}: damaged, or not a checkpoint ({str(error).splitlines()[0]})"
            ) from error


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
