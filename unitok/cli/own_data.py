"""From a set of one's own to a model: look, propose, try, train both parts, evaluate, say what came of it."""

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from lightning.pytorch import LightningDataModule, LightningModule
from rich.console import Console
from rich.table import Table

from unitok.api.model_card import record_figures, with_figures
from unitok.api.model_folder import refuse_foreign, update_card
from unitok.api.unitok import UniTok
from unitok.atomic_files import atomic_folder, write_text
from unitok.cli.lightning_cli import UniTokCLI, run
from unitok.cli.stages import Stages, Work, about_training
from unitok.cli.yaml_defaults import read_config
from unitok.data.document_data import DocumentData
from unitok.data.image_data import ImageData
from unitok.data.set_facts import MOST, DataFacts, inspect
from unitok.data.sources import open_data
from unitok.evaluate.captioned_images import Pairs
from unitok.evaluate.held_out import codebook_usage, measure_held_out
from unitok.evaluate.report import Report
from unitok.json_files import read_object
from unitok.training.proposal import BATCH, CAPTION_WEIGHT, Proposal, propose
from unitok.training.run.course import Course, StepTimes
from unitok.training.run.scalars import read_scalars
from unitok.training.tokenizer import TokenizerTraining
from unitok.training.transformer import TransformerTraining
from unitok.training.verdicts import Findings, verdicts

TRIAL_STEPS = 24
COMPILED = 0.8
"""Seconds of a compiled step, as a share of one that is not."""
GROWN = 1.3
"""Memory of a whole run, in that of a trial: what validations, samples and further sizes of batches add."""
FORECAST, TOOK = "forecast.json", "took.json"
VALIDATIONS = 12
"""Of a run: enough to see when a model begins to learn by heart."""


@dataclass
class OwnData:
    """Trains both parts on a set, and measures the model.

    A finished stage is not run again, so that a call after an interruption resumes.

    Args:
        path: of the set, in any format of docs/your-data.md.
        out: output folder.
        minutes: of the whole.
        size: side of the images in pixels; None proposes it.
    """

    path: str
    out: Path
    minutes: float
    size: int | None = None

    def run(self, *, ask: bool = False) -> Report | None:
        """Run the missing stages; `ask` for consent before the first one, and None where it is refused.

        Raises:
            ValueError: the set has no images, or `size` does not fit.
        """
        refuse_foreign(self.out / "model")
        resumes, facts = self._has_configs(), self.look()
        self.out.mkdir(parents=True, exist_ok=True)
        if not resumes:
            proposal = self.propose(facts)
            forecast = self.try_out(proposal)
            print(f"forecast: {forecast}")
            if ask and input("Start? [Y/n] ").strip().lower() not in ("", "y", "yes"):
                return None
            self.write_configs(proposal, forecast)
        stages = {
            name: Work(
                f"{name}/{part.export}",
                partial(self._resume, name),
                about_training(name, [self.out / f"{name}.yaml"], self.out),
            )
            for name, part in PARTS.items()
        }
        look = f"measures the model on held-out samples: look at {self.out}/samples.png"
        stages["evaluate"] = Work("report.json", partial(self._evaluate, facts), look)
        Stages(self.out).run(stages)
        return Report(read_object(self.out / "report.json"))

    def look(self) -> DataFacts:
        """Looks through the set, and prints what it holds."""
        train, val = (open_data(self.path, split=split) for split in ("train", "val"))
        facts = inspect(train, val, progress=sys.stderr.isatty())
        show_facts(self.path, facts)
        return facts

    def propose(self, facts: DataFacts) -> Proposal:
        """Proposes settings, and prints them."""
        proposal = propose(facts, minutes=self.minutes, size=self.size)
        show_proposal(proposal)
        return proposal

    def _has_configs(self) -> bool:
        """Whether an earlier call wrote its settings, which are kept.

        Raises:
            ValueError: they are those of another set.
        """
        files = [self.out / f"{part}.yaml" for part in PARTS]
        if not all(file.is_file() for file in files):
            return False
        for file in files:
            path = read_config(file).get("data", {}).get("path")
            if path != self.path:
                raise ValueError(f"{file} trains on {path}, not on {self.path}: give another --out")
        print(f"goes on with the settings of an earlier call: {files[0]} and {files[1].name}")
        return True

    # -- the trial

    def try_out(self, proposal: Proposal) -> Course:
        """Takes some steps of both parts in a folder of their own, which is removed again."""
        Console().rule("trial")
        with tempfile.TemporaryDirectory(dir=self.out, prefix="trial-") as folder:
            seconds = [self._time(Path(folder), part, proposal) for part in PARTS]
        if proposal.compile:
            seconds[1] *= COMPILED
        steps = [int(most / each) for most, each in zip(proposal.seconds, seconds, strict=True)]
        course = Course.of(steps, proposal.facts.images, self.minutes)
        return replace(course, megabytes=round(GROWN * course.megabytes))

    def _time(self, trial: Path, part: str, proposal: Proposal) -> float:
        """Seconds of a step of a part."""
        config, values = trial / f"{part}.yaml", self._config(part, proposal, trial, validate_every=10**6)
        values["trainer"] |= {
            "max_steps": TRIAL_STEPS, "limit_val_batches": 0, "enable_progress_bar": False,
            "callbacks": [{"class_path": f"{StepTimes.__module__}.StepTimes"}],
        }  # fmt: skip
        if part == "transformer":
            values["model"]["compute"] = {"compile": False}
        write_yaml(config, values)
        trainer = self._fit(part, "--config", str(config)).trainer
        return next(c for c in trainer.callbacks if isinstance(c, StepTimes)).typical

    # -- the stages

    def write_configs(self, proposal: Proposal, forecast: Course) -> None:
        """Writes the YAML files of both parts, from which one goes on by hand, and the forecast."""
        forecast.save(self.out / FORECAST)
        for part, steps in zip(PARTS, forecast.steps, strict=True):
            every = max(1, steps // VALIDATIONS)
            values = self._config(part, proposal, self.out, validate_every=every)
            command = f"{PARTS[part].program} fit --config {self.out / part}.yaml"
            write_yaml(self.out / f"{part}.yaml", values, comment=command)

    def _config(self, part: str, proposal: Proposal, out: Path, *, validate_every: int) -> dict[str, Any]:
        """The settings of a part that writes below `out`."""
        if part == "tokenizer":
            return proposal.tokenizer_config(self.path, out / part, validate_every=validate_every)
        image_tokenizer = out / "tokenizer/image_tokenizer"
        return proposal.transformer_config(
            self.path, out / part, image_tokenizer, validate_every=validate_every
        )

    def _resume(self, part: str) -> None:
        self._fit(part, "--config", str(self.out / f"{part}.yaml"), "--ckpt_path", "auto")

    def _fit(self, part: str, *args: str) -> UniTokCLI:
        training = PARTS[part]
        return run(training.module, training.data, ["fit", *args], program=training.program,
                   export=training.export)  # fmt: skip

    def _evaluate(self, facts: DataFacts) -> None:
        start, folder = time.monotonic(), self.out / "model"
        with atomic_folder(folder) as beside:
            shutil.copytree(self.out / "transformer/model", beside, dirs_exist_ok=True)
        model, train = UniTok.from_pretrained(folder), open_data(self.path, split="train")
        report = measure_held_out(model, open_data(self.path, split="val"), has_captions=facts.has_captions)
        report.figures["training_codebook_usage"] = codebook_usage(model, train)
        curve = sorted(read_scalars(self.out / "transformer/logs", "val/loss").items())
        found = Findings(
            curve=curve,
            codebook_size=model.codec.image.codebook_size,
            usage=report.figures["training_codebook_usage"],
            psnr=report.figures["psnr"],
            cell=model.codec.image.tokenizer.cell,
            told_apart=report.figures.get("told_apart"),
            leaked=facts.leaked,
            held_out=facts.held_out,
            passes=curve[-1][0] * BATCH / facts.images if curve else 0.0,
        )
        steps = [max(read_scalars(self.out / part / "logs", "loss"), default=0) for part in PARTS]
        minutes = (sum(Stages(self.out).seconds.values()) + time.monotonic() - start) / 60
        if (self.out / FORECAST).is_file():  # not in a run of a version that kept none
            print(f"forecast: {Course.load(self.out / FORECAST)}")
        took = Course.of(steps, facts.images, minutes)
        print(f"it took: {took}")
        took.save(self.out / TOOK)
        data = f"{report.figures['pictures']} held-out samples of {Path(self.path).name}"
        update_card(folder, lambda card: with_figures(card, report.figures, on=data))
        record_figures(folder, Pairs.of_tasks(report.figures, on=f"pairs of {Path(self.path).name}"))
        report.figures["verdict"] = " · ".join(verdicts(found))
        report.save(self.out)


class Part(NamedTuple):
    """A part's training, and its command."""

    module: type[LightningModule]
    data: type[LightningDataModule]
    export: str
    program: str


PARTS = {
    "tokenizer": Part(TokenizerTraining, ImageData, "image_tokenizer", "unitok train-tokenizer"),
    "transformer": Part(TransformerTraining, DocumentData, "model", "unitok train-model"),
}
"""In the order of their trainings."""


def write_yaml(path: Path, values: dict[str, Any], *, comment: str = "") -> None:
    """Writes settings as a YAML file, atomically."""
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=110)
    write_text(path, (f"# {comment}\n" if comment else "") + text)


# -- what is printed


def show_facts(path: str, facts: DataFacts) -> None:
    """Prints what a set holds."""
    least = "at least " if facts.documents > MOST else ""
    print(
        f"{path}: {facts.documents:,} training documents with {facts.images:,} images and {facts.texts:,} "
        f"texts ({least}{facts.distinct_texts:,} different ones), {facts.held_out:,} held out")  # fmt: skip
    if facts.faults:
        Console().print(
            f"  {facts.faults:.1%} cannot be read: unitok check {path} lists them", highlight=False
        )
    if facts.images and not facts.has_captions:
        Console().print("  no captions that tell images apart: the model will draw, but not from words")


def show_proposal(proposal: Proposal) -> None:
    """Prints the proposed settings, with the reasons of those that depend on the set."""
    minutes = [f"{most / 60:.1f} min {part}" for most, part in zip(proposal.seconds, PARTS, strict=True)]
    rows = {
        "size": f"{proposal.size} × {proposal.size} pixels, {proposal.side}² codes of {proposal.cell} pixels",
        "codes": f"{proposal.codes} in the codebook",
        "model": f"{proposal.layers} layers, rows of {proposal.row_length} ids, {proposal.text_size} of text",
        "copies": f"{proposal.copies} of each image, moved by up to {proposal.shift} pixels"
        if proposal.copies > 1
        else "none",
        "foreground": f"weighs {proposal.foreground_weight:.0f} times",
        "captions": f"weigh {CAPTION_WEIGHT:.0f} times" if proposal.facts.has_captions else "none",
        "compile": "yes" if proposal.compile else "no: the run is too short to repay it",
        "time": " + ".join(minutes),
    }  # fmt: skip
    table = Table("setting", "proposal", "because", title="proposal")
    for name, value in rows.items():
        table.add_row(name, value, proposal.reasons.get(name, ""))
    Console().print(table)
