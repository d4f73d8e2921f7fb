"""From a set of one's own to a model: look, propose, try, train both parts, evaluate, say what came of it."""

import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from PIL import Image
from rich.console import Console
from rich.table import Table

from unitok.api.contact_sheet import sheet
from unitok.api.model_card import with_figures
from unitok.api.model_folder import refuse_foreign, update_card
from unitok.api.unitok import UniTok
from unitok.atomic_files import atomic_folder, write_text
from unitok.cli.lightning_cli import UniTokCLI, run
from unitok.cli.stages import Stages
from unitok.data.modules import DocumentData, ImageData
from unitok.data.set_facts import DataFacts, inspect
from unitok.data.source import Source, intact
from unitok.data.sources import open_data
from unitok.evaluate.captioned_images import full_report
from unitok.evaluate.judged_sets import captioned, pairs_set
from unitok.evaluate.report import JudgedSet, Report, measure_tokenizer
from unitok.json_files import read_object
from unitok.training.proposal import BATCH, Proposal, propose
from unitok.training.run.scalars import read_scalars
from unitok.training.tokenizer import TokenizerTraining
from unitok.training.transformer import TransformerTraining
from unitok.training.verdicts import Findings, verdicts

TRIAL_STEPS = 8
COMPILED = 0.8
"""Seconds of a compiled step, as a share of one that is not."""
VALIDATIONS = 12
"""Of a run: enough to see when a model begins to learn by heart."""
HELD_OUT = 64
"""Held-out samples on which the model is measured."""
PAIRED, SHOWN, USED = 12, 16, 256
"""Held-out samples whose texts are compared with each other's images; images drawn without a prompt; training
images whose codes are counted."""


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
class Forecast:
    """What a trial of some steps tells of both trainings.

    Args:
        steps: of the image tokenizer and of the model, in their shares of the budget.
        passes: over the training data, of each.
        megabytes: of memory.
    """

    steps: list[int]
    passes: list[float]
    megabytes: int


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
        facts, proposal = self.look()
        self.out.mkdir(parents=True, exist_ok=True)
        if not all((self.out / f"{part}.yaml").is_file() for part in PARTS):
            forecast = self.try_out(proposal)
            show_forecast(forecast, proposal)
            if ask and input("Start? [Y/n] ").strip().lower() not in ("", "y", "yes"):
                return None
            self.write_configs(proposal, forecast)
        stages = {
            "tokenizer": ("tokenizer/image_tokenizer", lambda: self._resume("tokenizer")),
            "transformer": ("transformer/model", lambda: self._resume("transformer")),
            "evaluate": ("report.json", lambda: self._evaluate(facts)),
        }
        Stages(self.out).run(stages)
        return Report(read_object(self.out / "report.json"))

    def look(self) -> tuple[DataFacts, Proposal]:
        """Looks through the set, proposes settings, and prints both."""
        train, val = (open_data(self.path, split=split) for split in ("train", "val"))
        facts = inspect(train, val, progress=sys.stderr.isatty())
        proposal = propose(facts, minutes=self.minutes, size=self.size)
        show_facts(self.path, facts)
        show_proposal(proposal)
        return facts, proposal

    # -- the trial

    def try_out(self, proposal: Proposal) -> Forecast:
        """Takes some steps of both parts in a folder of their own, which is removed again."""
        Console().rule("trial")
        with tempfile.TemporaryDirectory(dir=self.out, prefix="trial-") as folder:
            seconds = [self._time(Path(folder), part, proposal) for part in PARTS]
        if proposal.compile:
            seconds[1] *= COMPILED
        steps = [int(most / each) for most, each in zip(proposal.seconds, seconds, strict=True)]
        passes = [count * BATCH / proposal.facts.images for count in steps]
        return Forecast(steps, passes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)

    def _time(self, trial: Path, part: str, proposal: Proposal) -> float:
        """Seconds of a step of a part."""
        config, values = trial / f"{part}.yaml", self._config(part, proposal, trial, validate_every=10**6)
        values["trainer"] |= {
            "max_steps": TRIAL_STEPS, "limit_val_batches": 0, "enable_progress_bar": False,
            "callbacks": [{"class_path": f"{__name__}.StepTimes"}],
        }  # fmt: skip
        if part == "transformer":
            values["model"]["compute"] = {"compile": False}
        write_yaml(config, values)
        trainer = self._fit(part, "--config", str(config)).trainer
        return next(c for c in trainer.callbacks if isinstance(c, StepTimes)).typical

    # -- the stages

    def write_configs(self, proposal: Proposal, forecast: Forecast) -> None:
        """Writes the YAML files of both parts, from which one goes on by hand."""
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
        folder = self.out / "model"
        with atomic_folder(folder) as beside:
            shutil.copytree(self.out / "transformer/model", beside, dirs_exist_ok=True)
        model, train = UniTok.from_pretrained(folder), open_data(self.path, split="train")
        report = measure_held_out(model, open_data(self.path, split="val"), facts)
        report.figures["training_codebook_usage"] = codebook_usage(model, islice(_images(train), USED))
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
        data = f"{report.figures['pictures']} held-out samples of {Path(self.path).name}"
        update_card(folder, lambda card: with_figures(card, report.figures, on=data))
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


def measure_held_out(model: UniTok, val: Source, facts: DataFacts) -> Report:
    """The figures of held-out samples: reconstructions, and captions and drawings where images have captions.

    Conversations and interleaved pages have suites of their own.
    """
    if facts.has_captions and next(captioned(val), None) is not None:
        judged_set = pairs_set(val, count=HELD_OUT)
        report = full_report(model, judged_set, batch_size=32)
        return report | Report({"told_apart": told_apart(model, judged_set)})
    images = list(islice(_images(val), HELD_OUT))
    judged_set = JudgedSet(images, [""] * len(images), caption_is_right=lambda text, i: False)
    report = Report({"pictures": len(images)}) | measure_tokenizer(model, judged_set, batch_size=32)
    del report.figures["reconstruction_caption_accuracy"]
    documents = model.generate([()] * SHOWN, target="image", seed=range(SHOWN))
    drawn = [document[-1].content for document in documents]
    return report | Report({}, {"samples": sheet(drawn, [""] * SHOWN)})


def _images(source: Source) -> Iterator[Image.Image]:
    for document in intact(source):
        yield from (segment.content for segment in document if segment.modality == "image")


def codebook_usage(model: UniTok, images: Iterable[Image.Image]) -> float:
    """Share of the codes that images use."""
    used = {code for image in images for code in model.encode_image(image).flatten().tolist()}
    return len(used) / model.codec.image.codebook_size


def told_apart(model: UniTok, judged_set: JudgedSet) -> float:
    """Share of pairs of images and different texts in which a text suits its own image better; chance .5."""
    images, texts = judged_set.images[:PAIRED], judged_set.captions[:PAIRED]
    scores = model.mutual_information(images, texts)
    pairs = [(i, j) for i, a in enumerate(texts) for j, b in enumerate(texts) if a != b]
    right = [scores[i][i] > scores[j][i] for i, j in pairs]
    return sum(right) / len(right) if right else 1.0


# -- what is printed


def show_facts(path: str, facts: DataFacts) -> None:
    """Prints what a set holds."""
    print(
        f"{path}: {facts.documents:,} training documents with {facts.images:,} images and {facts.texts:,} "
        f"texts ({facts.distinct_texts:,} different ones), {facts.held_out:,} held out")  # fmt: skip
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
        "copies": f"{proposal.copies} of each image, moved by up to {proposal.shift} pixels",
        "foreground": f"weighs {proposal.foreground_weight:.0f} times",
        "compile": "yes" if proposal.compile else "no: the run is too short to repay it",
        "time": " + ".join(minutes),
    }  # fmt: skip
    table = Table("setting", "proposal", "because", title="proposal")
    for name, value in rows.items():
        table.add_row(name, value, proposal.reasons.get(name, ""))
    Console().print(table)


def show_forecast(forecast: Forecast, proposal: Proposal) -> None:
    """Prints what a trial tells of the trainings."""
    pairs = zip(PARTS, forecast.steps, forecast.passes, strict=True)
    parts = [f"{part}: {steps:,} steps, {passes:.1f} passes over the images" for part, steps, passes in pairs]
    Console().print(f"forecast: {'; '.join(parts)}; {forecast.megabytes:,} MB of memory", highlight=False)
