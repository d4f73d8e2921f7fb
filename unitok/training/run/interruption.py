"""Saves a checkpoint by the clock, and when a signal ends the run. Knows no model."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from lightning.pytorch import Callback, LightningModule, Trainer

from unitok.training.run.checkpoint import LAST
from unitok.training.run.clock import Clock
from unitok.training.run.whole_steps import inside_step

SAVE_SECONDS = 100.0
"""Between two checkpoints: a run that is killed loses less than two minutes."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
REPEAT_SECONDS = 2.0
"""Signals within this time are one signal: launchers forward a signal that all processes have received."""


class Interrupted(Exception):
    """A signal ended a run, after its checkpoint was written."""

    def __init__(self, number: int):
        super().__init__(f"{signal.Signals(number).name}: saved; --ckpt_path last resumes from here")
        self.code = 128 + number


class SaveOften(Callback):
    """Writes last.ckpt by the clock, and on Ctrl-C or SIGTERM, then raises Interrupted.

    A later signal exits at once.

    Args:
        folder: of last.ckpt.
        seconds: between two checkpoints; more where writing one would take over a twentieth of the time.
    """

    def __init__(self, folder: Path, seconds: float = SAVE_SECONDS):
        self.folder, self.clock = folder, Clock(seconds)
        self.signal: int | None = None
        self.received_at = 0.0
        self._previous_handlers: dict = {}

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Set the handlers after the trainer has set its own, which would exit without saving."""
        self.signal = None
        self.clock.start()
        if threading.current_thread() is threading.main_thread():
            self._previous_handlers = {number: signal.signal(number, self._handle) for number in SIGNALS}

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._restore_handlers()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._previous_handlers = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal, self.received_at = number, time.monotonic()
            name = signal.Signals(number).name
            _print_at_once(
                f"\n{name}: saving after this step (a signal after {REPEAT_SECONDS:.0f} s ends at once)\n"
            )
        elif time.monotonic() - self.received_at > REPEAT_SECONDS:
            os._exit(128 + number)  # files are written atomically, so only the step is lost

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *rest) -> None:
        if not inside_step(trainer) and self._any_rank(trainer, self.signal is not None or self.clock.passed):
            self._save(trainer)

    def on_validation_batch_end(self, trainer: Trainer, module: LightningModule, *rest) -> None:
        fits = not trainer.sanity_checking and trainer.state.fn == "fit"
        if fits and self._any_rank(trainer, self.signal is not None):
            self._save(trainer)

    def _any_rank(self, trainer: Trainer, flag: bool) -> bool:
        return trainer.strategy.reduce_boolean_decision(flag, all=False)

    def _save(self, trainer: Trainer) -> None:
        """Save; raise Interrupted if any rank has received a signal."""
        with self.clock.measured():
            trainer.save_checkpoint(self.folder / LAST)
        if self._any_rank(trainer, self.signal is not None):
            raise Interrupted(self.signal or signal.SIGTERM)


def _print_at_once(line: str) -> None:
    """Write to stdout unbuffered: a signal handler may interrupt a print, so it must not print."""
    with suppress(OSError):
        os.write(1, line.encode())
