"""Saves a checkpoint when a signal ends the run. Knows no model."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from lightning.pytorch import Callback, LightningModule, Trainer

from unitok.training.run.whole_steps import inside_step

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SAME = 2.0
"""Seconds in which a further signal is the first one again: launchers pass on what all processes got."""


class Interrupted(Exception):
    """A signal ended a run, after its checkpoint was written."""

    def __init__(self, number: int):
        super().__init__(f"{signal.Signals(number).name}: saved; --ckpt_path last goes on from here")
        self.code = 128 + number


class SaveWhenInterrupted(Callback):
    """On Ctrl-C or SIGTERM: finish the step, write last.ckpt, raise Interrupted. A later one ends at once.

    Args:
        folder: of last.ckpt.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.received: int | None = None
        self.since = 0.0
        self._before: dict = {}

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Set the handlers, after the trainer's own: those would exit without saving."""
        self.received = None
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._give_back()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self.since = number, time.monotonic()
            name = signal.Signals(number).name
            _say(f"\n{name}: saving after this step (a signal after {SAME:.0f} s ends at once)\n")
        elif time.monotonic() - self.since > SAME:
            os._exit(128 + number)  # files are whole or absent, so nothing is lost but the step

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *rest) -> None:
        if not inside_step(trainer):
            self._leave(trainer)

    def on_validation_batch_end(self, trainer: Trainer, module: LightningModule, *rest) -> None:
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            self._leave(trainer)

    def _leave(self, trainer: Trainer) -> None:
        told = trainer.strategy.reduce_boolean_decision(self.received is not None, all=False)
        if told:
            trainer.save_checkpoint(self.folder / "last.ckpt")
            raise Interrupted(self.received or signal.SIGTERM)


def _say(line: str) -> None:
    """Tell at once: a handler may interrupt a print, so it cannot print itself."""
    with suppress(OSError):
        os.write(1, line.encode())
