"""One line that tells how a run stands: in place on a terminal, else every ten seconds. Knows no model."""

import shutil
import sys
import threading
import time
from collections.abc import Mapping
from io import TextIOBase

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar

from unitok.training.run.budget import COMPILED_STEPS, COMPILES_FOR
from unitok.training.run.log_steps import logs_step
from unitok.training.schedule import progress

SECONDS = 10.0
"""Between two lines where the output is not a terminal."""
REFRESH = 0.5
"""Seconds between two updates of the line on a terminal."""
SMOOTHING = 0.9
"""Share of the past in a smoothed value, of each logged step."""
FIRST_ESTIMATE = 0.001
"""Share of the budget after which the time left is told."""
MEASURED = ("val/", "origin/", "codebook/")
"""Figures of validations, which are shown as they are."""
MAX_WIDTH = 100


class ProgressLine(ProgressBar):
    """Tells the share of the budget, the step, the time left and smoothed figures, in at most 100 columns.

    A thread writes the line, so that it also appears while a step compiles or a validation lasts.

    Args:
        seconds: between two lines where `stream` is not a terminal.
        stream: where the line is written; None takes the standard output.
    """

    def __init__(self, seconds: float = SECONDS, stream: TextIOBase | None = None):
        super().__init__()
        self.stream = stream or sys.stdout
        self.terminal = self.stream.isatty()
        self.seconds = REFRESH if self.terminal else seconds
        self.enabled, self.shown = True, False
        self.figures: dict[str, float] = {}
        self.activity, self.place = "", ""
        self._thread: threading.Thread | None = None
        self._stop, self._lock = threading.Event(), threading.Lock()

    def disable(self) -> None:
        self.enabled = False

    def enable(self) -> None:
        self.enabled = True

    # -- what the trainer tells

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._start, self._changed = (time.monotonic(), progress(trainer)), 0.0
        self._uncounted, self.activity = 0, "first step"
        if getattr(module, "compiled", False) is True:
            self._start, self._uncounted = None, COMPILED_STEPS
            self.activity = f"compiling (about {COMPILES_FOR:.0f} s, not counted)"
        if not self.enabled:
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._write_lines, name="progress", daemon=True)
        self._thread.start()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *rest) -> None:
        if self._uncounted:
            self._uncounted -= 1
            return
        if self._start is None:  # the budget has begun anew
            self._start = time.monotonic(), progress(trainer)
        self.activity = ""
        if logs_step(trainer):
            self._smooth(trainer.progress_bar_metrics)
        if (now := time.monotonic()) - self._changed > REFRESH:
            self._changed, self.place = now, self._describe_place(trainer)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.activity = "validating"

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.activity = ""

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.place = self._describe_place(trainer)
        self._end()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        self._end()

    def print(self, *values, sep: str = " ", end: str = "\n", **options) -> None:
        """Write a line of its own, above the progress line."""
        with self._lock:
            self._clear()
            self.stream.write(sep.join(map(str, values)) + end)
            self.stream.flush()

    # -- the line

    def _smooth(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            past = 0.0 if name.startswith(MEASURED) else SMOOTHING
            self.figures[name] = past * self.figures.get(name, value) + (1 - past) * value

    def _describe_place(self, trainer: Trainer) -> str:
        share = progress(trainer)
        place = f"{share:4.0%}  step {trainer.global_step:,}"
        if self._start is None:
            return place
        start, share_at_start = self._start
        if share - share_at_start < FIRST_ESTIMATE:
            return place
        left = (time.monotonic() - start) * (1 - share) / (share - share_at_start)
        return f"{place}  {duration(left)} left"

    def line(self) -> str:
        """The present line; figures that do not fit are left out, the last ones first."""
        width = min(MAX_WIDTH, shutil.get_terminal_size().columns - 1) if self.terminal else MAX_WIDTH
        parts = [self.place, *(describe_figure(name, value) for name, value in self.figures.items())]
        line = self.activity
        for part in filter(None, reversed(parts)):
            line = f"{part}  {line}".rstrip()
        while len(line) > width and len(parts) > 1:
            parts.pop()
            line = "  ".join(filter(None, [*parts, self.activity]))
        return line[:width]

    def _write_lines(self) -> None:
        while not self._stop.wait(self.seconds):
            self._write()

    def _write(self) -> None:
        with self._lock:
            if self.terminal:
                self._clear()
                self.stream.write(self.line())
                self.shown = True
            else:
                self.stream.write(self.line() + "\n")
            self.stream.flush()

    def _clear(self) -> None:
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.shown = False

    def _end(self) -> None:
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None
        self.activity = ""
        with self._lock:
            self._clear()
            self.stream.write(self.line() + "\n")
            self.stream.flush()


def describe_figure(name: str, value: float) -> str:
    """A figure with its unit, as on the line."""
    if name.endswith("_per_second"):
        return f"{value:,.0f} {name.removesuffix('_per_second')}/s"
    if name.endswith("psnr"):
        return f"{value:.1f} dB"
    digits = f"{value:.3g}" if abs(value) < 10_000 else f"{value:.2g}"
    return f"{name.replace('loss/', '').removeprefix('codebook/')} {digits}"


def duration(seconds: float) -> str:
    """Seconds as 0:07, 12:05 or 3:02:00."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
