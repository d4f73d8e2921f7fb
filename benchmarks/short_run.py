"""A short training inside a benchmark: no validation, no export, no progress line."""

import time
from collections.abc import Callable

from lightning.pytorch.callbacks import Callback, Timer
from lightning.pytorch.trainer.states import RunningStage

from unitok.data.document_data import DocumentData
from unitok.training.run.trainer import RunFolder
from unitok.training.transformer import TransformerTraining


class ProcessorTime(Timer):
    """A budget in seconds of processor time, so that what else the machine does takes nothing from a run.

    With one thread this is the time of an idle core; waiting threads count, too.
    """

    def __init__(self, seconds: float):
        super().__init__({"seconds": seconds})
        self.begin = time.process_time()

    def on_fit_start(self, *rest) -> None:
        self.begin = time.process_time()

    def on_train_start(self, *rest) -> None:
        self.begin = time.process_time()

    def time_elapsed(self, stage: str = RunningStage.TRAINING) -> float:
        return time.process_time() - self.begin


class Clock(Callback):
    """Seconds of each training step, and of the time before it, in which its batch is read.

    `now` is processor time, of the process or of the thread (`time.thread_time`), not wall-clock.
    """

    def __init__(self, now: Callable[[], float] = time.process_time):
        self.now, self.before, self.steps, self.last = now, [], [], now()

    def _lap(self, laps: list[float]) -> None:
        now = self.now()
        laps.append(now - self.last)
        self.last = now

    def on_train_batch_start(self, *rest) -> None:
        self._lap(self.before)

    def on_train_batch_end(self, *rest) -> None:
        self._lap(self.steps)


def minutes_of_processor(minutes: float) -> dict:
    """A budget of `short_run`."""
    return {"callbacks": [ProcessorTime(60 * minutes)]}


def short_run(module: TransformerTraining, data: DocumentData, folder: str, budget: dict) -> RunFolder:
    """Train a module in a folder for a budget, such as {"max_steps": 400} or `minutes_of_processor(5)`;
    returns the trainer."""
    module.export = lambda folder: None
    trainer = RunFolder(
        default_root_dir=folder, max_epochs=-1, accelerator="cpu", precision="bf16-mixed",
        limit_val_batches=0, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, **budget,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    return trainer
