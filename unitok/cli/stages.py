"""Stages of a long command, each run once: an interrupted one is resumed."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from rich.console import Console

from unitok.atomic_files import write_text
from unitok.json_files import read_object
from unitok.training.run.budget import Budget
from unitok.training.run.progress_line import duration

FILE, PROGRESS = "stages.json", "progress.png"
LEARNS = {
    "tokenizer": "learns to turn an image into codes and back",
    "transformer": "learns to draw and to caption",
}
"""What the trainings of both commands learn, by their stage."""


def about_training(name: str, configs: Sequence[Path], out: Path) -> str:
    """One line on a training: what it learns, its configs' last `max_time`, and the PNG that shows it."""
    values = [yaml.safe_load(config.read_bytes()) or {} for config in configs]
    times = [time for value in values if (time := (value.get("trainer") or {}).get("max_time"))]
    lasts = f", {duration(Budget(times[-1]).seconds)} min" if times else ""
    return f"{LEARNS[name]}{lasts}: look at {out / PROGRESS}"


class Stage(NamedTuple):
    """The seconds a stage has taken so far, and whether it is done."""

    seconds: float
    done: bool


class Work(NamedTuple):
    """What a stage does: what it writes, as a path below the folder, and how it is run.

    Args:
        product: path of what it writes.
        action: runs it.
        about: what it does, how long it takes, and where one looks meanwhile.
        title: shown in place of its name.
    """

    product: str
    action: Callable[[], None]
    about: str = ""
    title: str = ""


class Stages:
    """The stages of a command that writes into a folder; stages.json there records them.

    Args:
        out: the folder.
    """

    def __init__(self, out: Path):
        self.out = out

    def run(self, stages: Mapping[str, Work]) -> None:
        """Run every stage from the first one on that is not done; `stages` are by name and in order."""
        rerun = False
        for number, (name, work) in enumerate(stages.items(), 1):
            if rerun or not (self.stage(name).done and (self.out / work.product).exists()):
                console = Console()
                console.rule(f"{number} of {len(stages)}: {work.title or name}")
                console.print(work.about, highlight=False, markup=False, soft_wrap=True)
                self._run(name, self.out / work.product, work.action)
                rerun = True

    def _run(self, name: str, product: Path, action: Callable[[], None]) -> None:
        """Run a stage and record its seconds, which add up if it is interrupted and resumed."""
        previous, start = self.stage(name), time.monotonic()
        spent, done = 0.0 if previous.done else previous.seconds, False
        try:
            action()
            done = product.exists()
        finally:
            self._record(name, Stage(round(spent + time.monotonic() - start, 1), done))
        if not done:
            raise ValueError(f"stage {name} did not write {product}: its config must write below {self.out}")

    def stage(self, name: str) -> Stage:
        """What is recorded of a stage."""
        return self._read().get(name, Stage(0.0, False))

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each stage so far, by name."""
        return {name: stage.seconds for name, stage in self._read().items()}

    def _read(self) -> dict[str, Stage]:
        path = self.out / FILE
        stages = read_object(path) if path.is_file() else {}
        return {name: Stage(**stage) for name, stage in stages.items()}

    def _record(self, name: str, stage: Stage) -> None:
        stages = self._read() | {name: stage}
        text = json.dumps({key: value._asdict() for key, value in stages.items()}, indent=2)
        write_text(self.out / FILE, text + "\n")
