"""The demo: tokenizer, codes, transformer, report, stage by stage. Knows only configs."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unitok.api.model_card import record_figures, with_figures
from unitok.api.model_folder import convert_weights, refuse_foreign, update_card
from unitok.api.unitok import UniTok
from unitok.atomic_files import atomic_folder
from unitok.cli.lightning_cli import run
from unitok.cli.stages import Stages, Work, about_training
from unitok.cli.yaml_defaults import read_config
from unitok.data.document_data import DocumentData
from unitok.data.image_data import ImageData
from unitok.evaluate.captioned_images import Shapes, shapes_report
from unitok.evaluate.report import Report
from unitok.json_files import read_object
from unitok.training.encode import encode
from unitok.training.tokenizer import TokenizerTraining
from unitok.training.transformer import TransformerTraining


@dataclass
class Demo:
    """Trains tokenizer and transformer from configs, and measures the model.

    A finished stage runs again only if an earlier one did: a second call just reports the result, and a call
    after an interruption resumes.

    Args:
        configs: folders with tokenizer.yaml, encode.yaml and transformer.yaml; later ones override.
        out: output folder; each stage reads and writes there, whatever folders the configs name.
        canvas: side of a scene, in pixels.
        scenes: number of scenes in each judged set.
        dtype: of the weights in the model's folder.
    """

    configs: Sequence[Path]
    out: Path
    canvas: int = 48
    scenes: int = 500
    dtype: str = "float32"

    def run(self) -> Report:
        """Run the missing stages; returns the report.

        Raises:
            FileNotFoundError: no folder has the config of a stage.
            FileExistsError: `out` has a folder "model" that is not a model.
        """
        for name in ("tokenizer", "encode", "transformer"):
            if not self._configs(name):
                raise FileNotFoundError(f"no {name}.yaml in {', '.join(map(str, self.configs))}")
        refuse_foreign(self.out / "model")
        self.stages.run(self._work())
        return self._report()

    def _work(self) -> dict[str, Work]:
        """The stages by name, in order."""
        encodes = f"writes scenes as codes, about a minute: see {self.out}/codes"
        judges = (
            f"judges {self.scenes} unseen scenes and as many of held-out compositions, about a minute: "
            f"see {self.out}/samples.png, captions.png and reconstructions.png"
        )

        def about(name: str) -> str:
            return about_training(name, self._configs(name), self.out)

        stages = {
            "tokenizer": ("tokenizer/image_tokenizer", self._train_tokenizer, about("tokenizer")),
            "encode": ("codes/index.json", self._encode, encodes),
            "transformer": ("transformer/model", self._train_transformer, about("transformer")),
            "evaluate": ("report.json", self._evaluate, judges),
        }
        titles = {name: " + ".join([name, *map(str, self._configs(name))]) for name in stages}
        return {name: Work(*stage, title=titles[name]) for name, stage in stages.items()}

    @property
    def stages(self) -> Stages:
        """What is recorded of the stages."""
        return Stages(self.out)

    def _configs(self, name: str) -> list[Path]:
        """The configs of a stage, at most one per folder."""
        return [path for path in (folder / f"{name}.yaml" for folder in self.configs) if path.is_file()]

    @property
    def _image_tokenizer(self) -> Path:
        return self.out / "tokenizer/image_tokenizer"

    @property
    def _codes(self) -> Path:
        return self.out / "codes"

    def _train_tokenizer(self) -> None:
        args = self._fit_args("tokenizer")
        run(TokenizerTraining, ImageData, args, program="unitok train-tokenizer", export="image_tokenizer")

    def _encode(self) -> None:
        options: dict = {}
        for config in self._configs("encode"):
            options |= read_config(config)
        folders = {"image_tokenizer": str(self._image_tokenizer), "out": str(self._codes)}
        encode(**options | folders)

    def _train_transformer(self) -> None:
        data = (f"--data.train={self._codes}", f"--data.codec.image_tokenizer={self._image_tokenizer}")
        args = self._fit_args("transformer", *data)
        run(TransformerTraining, DocumentData, args, program="unitok train-model", export="model")

    def _fit_args(self, name: str, *more: str) -> list[str]:
        """The command line of a training stage, which resumes an interrupted one."""
        interrupted = not self.stages.stage(name).done and (self.out / name / "last.ckpt").is_file()
        configs = (arg for config in self._configs(name) for arg in ("--config", str(config)))
        args = ["fit", *configs, f"--trainer.default_root_dir={self.out / name}", *more]
        return [*args, "--ckpt_path", "last"] if interrupted else args

    def _evaluate(self) -> None:
        model = self.out / "model"
        with atomic_folder(model) as beside:
            shutil.copytree(self.out / "transformer/model", beside, dirs_exist_ok=True)
        convert_weights(model, self.dtype)
        report = shapes_report(UniTok.from_pretrained(model), canvas=self.canvas, scenes=self.scenes)
        command = f"unitok demo --configs {' '.join(map(str, self.configs))} --out {self.out}"
        scenes = f"{self.scenes} unseen rendered scenes of {self.canvas} pixels, and as many held-out ones"
        data = f"{scenes}; trained by `{command} --dtype {self.dtype}`"
        update_card(model, lambda card: with_figures(card, report.figures, on=data))
        record_figures(model, Shapes.of_tasks(report.figures, on="shapes"))
        report.save(self.out)

    def _report(self) -> Report:
        """Returns the report with the seconds of all stages together and of each."""
        path = self.out / "report.json"
        seconds = self.stages.seconds
        total = {"seconds": round(sum(seconds.values()), 1)}
        figures = total | read_object(path) | total
        report = Report(figures | {f"seconds_{name}": value for name, value in seconds.items()})
        report.save(self.out)
        return report
