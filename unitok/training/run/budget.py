"""The wall-clock budget of a run, in which compiling is not counted. Knows no model."""

import time

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.trainer.states import RunningStage

COMPILES_FOR, REPAID_AFTER = 60.0, 300.0
"""Seconds that compiling takes, and of training after which faster steps have made up for them."""
COMPILED_STEPS = 2
"""Steps in which torch.compile builds its kernels: for the first shape, and for a second one."""


def repays_compiling(trainer: Trainer) -> bool:
    """Whether faster steps make up for compiling within the run's `max_time`; says so where they do not."""
    for timer in (callback for callback in trainer.callbacks if isinstance(callback, Budget)):
        if timer.seconds is not None and timer.seconds < REPAID_AFTER:
            takes, whole = f"about {COMPILES_FOR:.0f} s", f"{timer.seconds:.0f} s"
            trainer.print(f"not compiled: that takes {takes}, which a run of {whole} does not make up for")
            return False
    return True


class Budget(Timer):
    """Ends a run after its `max_time`; the first steps of a compiled model do not count."""

    @property
    def seconds(self) -> float | None:
        """Of the whole run; None for no limit."""
        return self._duration

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._uncounted = COMPILED_STEPS if getattr(pl_module, "compiled", False) else 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *rest) -> None:
        if self._uncounted:
            self._uncounted -= 1
            self._start_time[RunningStage.TRAINING] = time.monotonic()
        super().on_train_batch_end(trainer, pl_module, *rest)
