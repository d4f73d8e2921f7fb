"""The trainer of all runs: Lightning's, which writes everything of a run to one folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from unitok.device import lacks_bfloat16, pick_device
from unitok.training.run.budget import Budget
from unitok.training.run.callbacks import Export, ReportComplete, SeedByBatch
from unitok.training.run.checkpoint import AtomicCheckpointIO, checkpoints, choose_readable
from unitok.training.run.interruption import SaveOften
from unitok.training.run.log_steps import log_interval
from unitok.training.run.progress_line import ProgressLine
from unitok.training.run.whole_steps import inside_step


class RunFolder(Trainer):
    """A trainer that writes everything of a run to `default_root_dir`: logs, checkpoints, config and exports.

    A `val_check_interval` in batches counts across epochs, unless `check_val_every_n_epoch` is given. On a
    CPU without bfloat16 instructions, half precision is replaced by float32.
    """

    def __init__(
        self,
        *,
        monitor: str = "val/loss",
        export: str = "model",
        callbacks: list[Callback] | Callback | None = None,
        **options,
    ):
        own = callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []
        folder = Path(options.pop("default_root_dir", None) or "runs/unnamed")
        folder.mkdir(parents=True, exist_ok=True)
        callbacks = [
            *own,
            *checkpoints(folder, monitor=monitor),
            Export(export),
            ReportComplete(),
            SeedByBatch(),
            SaveOften(folder),
        ]
        if options.get("enable_progress_bar", True) is not False:
            callbacks.append(ProgressLine())
        if (budget := options.pop("max_time", None)) is not None:
            callbacks.append(Budget(budget))
        if options.get("check_val_every_n_epoch") is None:
            is_share = isinstance(options.get("val_check_interval"), float | None)
            options["check_val_every_n_epoch"] = 1 if is_share else None
        if options.get("accelerator", "auto") == "auto" and torch.backends.mps.is_available():
            options["accelerator"] = pick_device("auto").type
        precision = options.get("precision")
        _check_precision(str(precision), options.get("accelerator", "auto"))
        options["precision"] = _fast_precision(precision, options.get("accelerator", "auto"))
        options["logger"] = [
            TensorBoardLogger(folder, name="", version="logs", default_hp_metric=False),
            *_loggers(options.get("logger")),
        ]
        plugins = [*(options.pop("plugins", None) or []), AtomicCheckpointIO()]
        super().__init__(default_root_dir=folder, callbacks=callbacks, plugins=plugins, **options)
        if getattr(self.strategy, "_save_distributed_checkpoint", False):
            raise ValueError(
                "trainer.strategy must have save_distributed_checkpoint=false: a checkpoint is one file"
            )
        if options["precision"] != precision:
            self.print(f"precision: {precision}: this CPU has no instructions for bfloat16, "
                       f"training in {options['precision']}")  # fmt: skip

    @property
    def log_every_n_steps(self) -> int:
        """Steps between two logged ones: fewer at first, so that short runs have a curve too."""
        step = self.fit_loop.epoch_loop._batches_that_stepped
        return log_interval(step, most=self._log_every) if self._log_every else 0

    @log_every_n_steps.setter
    def log_every_n_steps(self, value: int) -> None:
        self._log_every = value

    @property
    def should_stop(self) -> bool:
        """Whether to stop now: only between two steps, never inside a step of several batches."""
        return self._should_stop and not inside_step(self)

    @should_stop.setter
    def should_stop(self, value: bool) -> None:
        self._should_stop = value

    def _run(self, model: LightningModule, ckpt_path: Any = None, weights_only: bool | None = None) -> Any:
        """Check the checkpoint first: some strategies load it themselves, and need one readable file."""
        self.resumes = ckpt_path is not None
        return super()._run(model, ckpt_path and choose_readable(ckpt_path), weights_only=True)


def _loggers(given: Any) -> Sequence[Logger]:
    """The loggers that a user adds to TensorBoard's, which every run has: it holds the images."""
    if isinstance(given, Logger):
        return [given]
    return given if isinstance(given, Sequence) else []


def _check_precision(precision: str, accelerator: Any) -> None:
    """Raises ValueError for a precision in which training fails."""
    if precision in ("64", "64-true"):
        raise ValueError(f"trainer.precision must be 32-true or bf16-mixed, got {precision}")
    if precision in ("16", "16-mixed") and not _on_cpu(accelerator):  # clipping would see scaled gradients
        raise ValueError(f"trainer.precision must be bf16-mixed or 32-true on a GPU, got {precision}")
    if precision in ("16-true", "bf16-true") and _on_cpu(accelerator):
        raise ValueError(f"trainer.precision must be 32-true or bf16-mixed on a CPU, got {precision}")


def _on_cpu(accelerator: Any) -> bool:
    return accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())


def _fast_precision(precision: Any, accelerator: Any) -> Any:
    """The given precision, or float32 on a CPU where bfloat16 would be slower."""
    is_half = str(precision).startswith(("16", "bf16"))  # on a CPU the trainer uses bfloat16 for both
    if is_half and _on_cpu(accelerator) and lacks_bfloat16(torch.device("cpu")):
        return "32-true"
    return precision
