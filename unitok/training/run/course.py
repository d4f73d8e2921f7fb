"""How far the trainings of both parts come: as a trial of some steps forecasts it, or as it came."""

import json
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from unitok.atomic_files import write_text
from unitok.json_files import read_object
from unitok.training.proposal import BATCH


class StepTimes(Callback):
    """Keeps the seconds of each step."""

    def __init__(self):
        self.seconds: list[float] = []

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *rest) -> None:
        self.start = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *rest) -> None:
        self.seconds.append(time.monotonic() - self.start)

    @property
    def typical(self) -> float:
        """The median without the first steps, which also fill caches."""
        return statistics.median(self.seconds[len(self.seconds) // 2 :])


@dataclass(frozen=True)
class Course:
    """How far both trainings come.

    Args:
        steps: of the image tokenizer and of the transformer, in their shares of the budget.
        passes: over the training images, of each.
        megabytes: of memory, at most.
        minutes: of the whole.
    """

    steps: list[int]
    passes: list[float]
    megabytes: int
    minutes: float

    @classmethod
    def of(cls, steps: Sequence[int], images: int, minutes: float) -> "Course":
        """The course of so many steps over so many images, in this process."""
        passes = [count * BATCH / images for count in steps]
        return cls(list(steps), passes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, minutes)

    @classmethod
    def load(cls, path: Path) -> "Course":
        """Reads what `save` wrote."""
        return cls(**read_object(path))

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")

    def __str__(self) -> str:
        pairs = zip(("tokenizer", "transformer"), self.steps, self.passes, strict=True)
        parts = [f"{part} {steps:,} steps, {passes:.1f} passes" for part, steps, passes in pairs]
        return "; ".join([*parts, f"{self.megabytes:,} MB", f"{self.minutes:.1f} min"])
