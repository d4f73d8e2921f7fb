"""Stages of a long command, each run once: an interrupted one is resumed. Knows no stage by name."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from unitok.atomic_files import write_text
from unitok.json_files import read_object

FILE = "stages.json"


class Stage(NamedTuple):
    """The seconds a stage has taken so far, and whether it is done."""

    seconds: float
    done: bool


class Stages:
    """The stages of a command that writes into a folder; stages.json there records them.

    Args:
        out: the folder.
    """

    def __init__(self, out: Path):
        self.out = out

    def run(
        self, stages: Mapping[str, tuple[str, Callable[[], None]]], *, titles: Mapping[str, str] = {}
    ) -> None:
        """Run every stage from the first one on that is not done.

        Args:
            stages: what each writes, as a path below the folder, and how it is run, by name and in order.
            titles: shown above a stage in place of its name.
        """
        rerun = False
        for name, (product, action) in stages.items():
            if rerun or not (self.stage(name).done and (self.out / product).exists()):
                self._run(name, self.out / product, action, title=titles.get(name, name))
                rerun = True

    def _run(self, name: str, product: Path, action: Callable[[], None], *, title: str) -> None:
        """Run a stage and record its seconds, which add up if it is interrupted and resumed."""
        Console().rule(title)
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
