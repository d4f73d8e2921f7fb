"""The demo: tokenizer, codes, transformer, report, stage by stage. Knows only configs."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml
from rich.console import Console

from unitok.api.model_card import with_figures
from unitok.api.model_folder import refuse_foreign, update_card
from unitok.api.unitok import UniTok
from unitok.atomic_files import folder_beside, write_text
from unitok.cli.lightning_cli import run
from unitok.cli.yaml_defaults import read_config
from unitok.data.modules import DocumentData, ImageData
from unitok.evaluate.report import Report
from unitok.evaluate.suites import shapes_report
from unitok.json_files import read_object
from unitok.training.encode import encode
from unitok.training.tokenizer import TokenizerTraining
from unitok.training.transformer import TransformerTraining

STAGES = "stages.json"


class Stage(NamedTuple):
    """The seconds that a stage has taken, and whether it is done."""

    seconds: float
    done: bool


@dataclass
class Demo:
    """Trains both parts by their configs and measures the model.

    A stage that is done is not repeated unless an earlier one was, so that a second call shows the result at
    once and a stopped one goes on.

    Args:
        configs: folders with tokenizer.yaml, encode.yaml and transformer.yaml; what a later one says counts.
        out: folder of everything that is made; the configs must name the same one.
        canvas: pixels a side of a scene.
        scenes: judged of each kind.
    """

    configs: Sequence[Path]
    out: Path
    canvas: int = 48
    scenes: int = 500

    def run(self) -> Report:
        """Carry out the stages that are missing; returns the report.

        Raises:
            FileNotFoundError: no folder has the config of a stage.
            FileExistsError: `out` has a folder "model" that is no model.
            ValueError: a config writes elsewhere than below `out`.
        """
        for name in ("tokenizer", "encode", "transformer"):
            if not self._configs(name):
                raise FileNotFoundError(f"no {name}.yaml in {', '.join(map(str, self.configs))}")
            self._check_folder(name)
        refuse_foreign(self.out / "model")
        stages = {
            "tokenizer": ("tokenizer/image_tokenizer", self._train_tokenizer),
            "encode": ("codes/index.json", self._encode),
            "transformer": ("transformer/model", self._train_transformer),
            "evaluate": ("report.json", self._evaluate),
        }
        earlier = False
        for name, (product, work) in stages.items():
            if earlier or not (self._stage(name).done and (self.out / product).exists()):
                self._carry_out(name, self.out / product, work)
                earlier = True
        return self._report()

    def _carry_out(self, name: str, product: Path, work: Callable[[], None]) -> None:
        """One stage; its seconds also count where it is stopped and goes on later."""
        Console().rule(" + ".join([name, *map(str, self._configs(name))]))
        before, start = self._stage(name), time.monotonic()
        spent, done = 0.0 if before.done else before.seconds, False
        try:
            work()
            done = product.exists()
        finally:
            self._note(name, Stage(round(spent + time.monotonic() - start, 1), done))
        if not done:
            raise ValueError(f"stage {name} ended without {product}; its config must write below {self.out}")

    def _check_folder(self, name: str) -> None:
        """Notice at once, not after the first stage, that its product would not be found."""
        folder, said = None, None
        for config in self._configs(name):
            values = yaml.safe_load(config.read_bytes()) or {}
            named = values.get("out") or values.get("trainer", {}).get("default_root_dir")
            folder, said = (named, config) if named else (folder, said)
        if folder is not None and self.out.resolve() not in Path(folder).resolve().parents:
            raise ValueError(f"{said} writes to {folder}, which is not below the folder given, {self.out}")

    def _configs(self, name: str) -> list[Path]:
        """The files of a stage, one a folder that has it."""
        return [path for path in (folder / f"{name}.yaml" for folder in self.configs) if path.is_file()]

    def _stages(self) -> dict[str, Stage]:
        path = self.out / STAGES
        stages = read_object(path) if path.is_file() else {}
        return {name: Stage(**stage) for name, stage in stages.items()}

    def _stage(self, name: str) -> Stage:
        return self._stages().get(name, Stage(0.0, False))

    def _note(self, name: str, stage: Stage) -> None:
        stages = self._stages() | {name: stage}
        text = json.dumps({key: value._asdict() for key, value in stages.items()}, indent=2)
        write_text(self.out / STAGES, text + "\n")

    def _train_tokenizer(self) -> None:
        args = self._fit("tokenizer")
        run(TokenizerTraining, ImageData, args, program="train/tokenizer.py", export="image_tokenizer")

    def _encode(self) -> None:
        options: dict = {}
        for config in self._configs("encode"):
            options |= read_config(config)
        encode(**options)

    def _train_transformer(self) -> None:
        args = self._fit("transformer")
        run(TransformerTraining, DocumentData, args, program="train/transformer.py", export="model")

    def _fit(self, name: str) -> list[str]:
        """The command line of a training stage; one that was stopped goes on."""
        stopped = not self._stage(name).done and (self.out / name / "last.ckpt").is_file()
        args = ["fit", *(word for config in self._configs(name) for word in ("--config", str(config)))]
        return [*args, "--ckpt_path", "last"] if stopped else args

    def _evaluate(self) -> None:
        model = self.out / "model"
        with folder_beside(model) as beside:
            shutil.copytree(self.out / "transformer/model", beside, dirs_exist_ok=True)
        report = shapes_report(UniTok.from_pretrained(model), canvas=self.canvas, scenes=self.scenes)
        on = f"{self.scenes} unseen rendered scenes of {self.canvas} pixels, and as many held-out ones"
        update_card(model, lambda card: with_figures(card, report.figures, on=on))
        report.save(self.out)

    def _report(self) -> Report:
        """The figures, and the seconds of all stages together and of each."""
        path = self.out / "report.json"
        seconds = {name: stage.seconds for name, stage in self._stages().items()}
        total = {"seconds": round(sum(seconds.values()), 1)}
        figures = total | read_object(path) | total
        report = Report(figures | {f"seconds_{name}": value for name, value in seconds.items()})
        report.save(self.out)
        return report
