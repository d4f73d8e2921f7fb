"""Forgetting in fine-tuning (catastrophic forgetting: McCloskey and Cohen, 1989): measures a run on what the
model knew that it starts from. Knows no format.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from unitok.data.batches.packing import Batch
from unitok.evaluate.suites import Suite, open_suite
from unitok.modalities.kinds import STRUCTURE
from unitok.training.metrics import Totals
from unitok.training.run.callbacks import in_eval_mode
from unitok.training.run.clock import MOST_SHARE, Clock
from unitok.training.run.origin_data import SAMPLE, open_origin_data
from unitok.training.samples import model_for_inference
from unitok.training.verdicts import forgetting_verdict
from unitok.training.weights.init_from import StartConfig


class Forgetting(Callback):
    """Tells what a run forgets of the model that it starts from: its loss by modality on that model's data.

    It is measured before the first step, at validations, and of the exported weights: `origin/loss/…` in the
    log, and a sentence at the end. A resumed run compares with its first start.

    Args:
        start: names the model, and may name its data and a suite.
    """

    def __init__(self, start: StartConfig):
        self.start, self.clock = start, Clock(0.0)
        self.batches: list[Batch] = []
        self.suite: Suite | None = None
        self.before: dict[str, float] = {}
        self.seconds = 0.0

    def state_dict(self) -> dict[str, dict[str, float]]:
        return {"before": self.before}

    def load_state_dict(self, state: dict[str, dict[str, float]]) -> None:
        self.before = state["before"]

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Raises FileNotFoundError or ValueError for data or a suite that the settings name in vain."""
        self.began = time.monotonic()
        with self._timed():
            self._open(trainer)
            if not trainer.global_step:
                self.before = self._losses(trainer, module) | self._accuracies(trainer, module)
                self._log(trainer, self.before)
            elif not self.before:  # the checkpoint of a run that did not measure
                self.batches, self.suite = [], None
        if self.before:
            known = ", ".join(f"{name} {value:.3f}" for name, value in self.before.items())
            trainer.print(f"origin: {known}: measured in {self.seconds:.1f} s, at validations in at most "
                          f"{MOST_SHARE:.0%} of the time, and at the end")  # fmt: skip

    def _open(self, trainer: Trainer) -> None:
        """Opens the data and the suite; says why data that no setting names cannot be opened."""
        if self.start.origin_suite is not None:
            self.suite = open_suite(self.start.origin_suite, count=SAMPLE)
        try:
            data = open_origin_data(self.start, trainer.datamodule)
        except (OSError, ValueError) as error:
            if self.start.origin_data is not None:
                raise
            trainer.print(f"origin: its loss is not measured: {error}")
            return
        self.batches = data.batches
        trainer.print(f"origin: {data.documents} documents of {data.name} tell what the run forgets")

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        if self.batches and self.clock.due(trainer):
            with self.clock.measured(), self._timed():
                losses = self._losses(trainer, module)
            for name, value in losses.items():
                module.log(f"origin/{name}", value, prog_bar=True)

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not self.batches and self.suite is None:
            return
        with self._timed():
            after = self._losses(trainer, module) | self._accuracies(trainer, module)
        self._log(trainer, after)
        share = self.seconds / (time.monotonic() - self.began)
        trainer.print(f"{forgetting_verdict(self.before, after)} (measured in {self.seconds:.1f} s, "
                      f"{share:.1%} of the time)")  # fmt: skip

    @torch.no_grad()
    def _losses(self, trainer: Trainer, module: LightningModule) -> dict[str, float]:
        """The loss of each modality of the origin's documents, in nats per id."""
        if not self.batches:
            return {}
        totals = Totals((STRUCTURE, *module.codec.modalities))
        with in_eval_mode(module), trainer.precision_plugin.val_step_context():
            for batch in self.batches:
                totals.add(module.sums(trainer.strategy.batch_to_device(batch)))
        means = totals.losses(trainer)
        return {f"loss/{name}": means[name] for name in module.codec.modalities if name in means}

    def _accuracies(self, trainer: Trainer, module: LightningModule) -> dict[str, float]:
        """The accuracies of the origin's suite, on the first process."""
        if self.suite is None:
            return {}
        with model_for_inference(module) as model:
            figures = self.suite.measure(model, batch_size=SAMPLE).figures if trainer.is_global_zero else {}
        return {name: float(value) for name, value in figures.items() if name.endswith("accuracy")}

    def _log(self, trainer: Trainer, figures: dict[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(
                {f"origin/{name}": value for name, value in figures.items()}, trainer.global_step
            )

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Adds the seconds within the context to those of all measurements."""
        start = time.monotonic()
        yield
        self.seconds += time.monotonic() - start
