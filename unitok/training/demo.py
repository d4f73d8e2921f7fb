"""The whole path on rendered scenes, stage by stage, and a report of what came out. Knows only command
lines."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from unitok.bundle import UniTok
from unitok.evaluate.report import Report
from unitok.evaluate.suites import shapes_report

STAGES = "stages.json"


@dataclass
class Demo:
    """Trains both parts by their configs and measures the model.

    A stage whose product is there is not repeated, so that a second call shows the result at once and a
    stopped one goes on.

    Args:
        configs: folder with tokenizer.yaml, encode.yaml and transformer.yaml.
        out: folder of everything that is made; the configs must name the same one.
        canvas: pixels a side of a scene.
        scenes: judged of each kind.
    """

    configs: Path
    out: Path
    canvas: int = 48
    scenes: int = 500

    def run(self) -> Report:
        """Carry out the stages that are missing; returns the report."""
        self._stage("tokenizer", self.out / "tokenizer/image_tokenizer", self._train_tokenizer)
        self._stage("encode", self.out / "codes/index.json", self._encode)
        self._stage("transformer", self.out / "transformer/model", self._train_transformer)
        self._stage("evaluate", self.out / "report.json", self._evaluate)
        return Report(json.loads((self.out / "report.json").read_text()))

    def _stage(self, name: str, product: Path, work: Callable[[], None]) -> None:
        seconds = self._seconds()
        if product.exists() and name in seconds:
            return
        Console().rule(f"{name}: {self.configs / name}.yaml" if name != "evaluate" else name)
        start = time.monotonic()
        work()
        if not product.exists():
            raise ValueError(f"stage {name} ended without {product}; its config must write below {self.out}")
        if name != "evaluate":
            seconds[name] = round(time.monotonic() - start, 1)
            (self.out / STAGES).write_text(json.dumps(seconds, indent=2) + "\n")

    def _seconds(self) -> dict[str, float]:
        path = self.out / STAGES
        return json.loads(path.read_text()) if path.is_file() else {}

    def _train_tokenizer(self) -> None:
        from train.tokenizer import main

        main(["fit", "--config", str(self.configs / "tokenizer.yaml"), *self._resume("tokenizer")])

    def _encode(self) -> None:
        from train.encode import main

        main(["--config", str(self.configs / "encode.yaml")])

    def _train_transformer(self) -> None:
        from train.transformer import main

        main(["fit", "--config", str(self.configs / "transformer.yaml"), *self._resume("transformer")])

    def _resume(self, name: str) -> list[str]:
        return ["--ckpt_path", "last"] if (self.out / name / "last.ckpt").is_file() else []

    def _evaluate(self) -> None:
        start = time.monotonic()
        model_folder = self.out / "model"
        shutil.copytree(self.out / "transformer/model", model_folder, dirs_exist_ok=True)
        report = shapes_report(UniTok.from_pretrained(model_folder), canvas=self.canvas, scenes=self.scenes)
        seconds = self._seconds() | {"evaluate": round(time.monotonic() - start, 1)}
        report.figures = {"seconds": round(sum(seconds.values()), 1), **report.figures}
        report.figures |= {f"seconds_{name}": value for name, value in seconds.items()}
        report.save(self.out)
