"""Callbacks of all runs: images in TensorBoard, export, seeds by batch. Knows public calls only."""

import logging
import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path

import torch
from jaxtyping import Float
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid, save_image

from unitok.api.contact_sheet import sheet, write_png
from unitok.atomic_files import atomic_file
from unitok.modalities.image import to_image
from unitok.training.run.checkpoint import LAST, best_weights
from unitok.training.run.clock import Clock
from unitok.training.run.interruption import Interrupted
from unitok.training.run.log_steps import logs_step
from unitok.training.run.resume_check import refuse_other_kind
from unitok.training.run.whole_steps import inside_step

log = logging.getLogger(__name__)


class ByTheClock(Callback):
    """Shows something after each validation, and every `seconds` between two.

    Args:
        seconds: between two times.
        progress: PNG file of how the run stands, relative to the run's folder; None for none.
    """

    def __init__(self, seconds: float, progress: str | None):
        self.clock, self.progress = Clock(seconds), progress

    @abstractmethod
    def show(self, trainer: Trainer, module: LightningModule) -> None:
        """Show it; called on all processes."""

    def write_progress(
        self, trainer: Trainer, title: str, images: Sequence[Image.Image], labels: Sequence[str]
    ) -> None:
        """Write two rows of images with their labels, under a title with the step."""
        if self.progress is not None:
            title = f"step {trainer.global_step:,}: {title}"
            path = Path(trainer.default_root_dir, self.progress).resolve()
            write_png(path, sheet(images, labels, columns=len(images) // 2, title=title))

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.clock.start()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *rest) -> None:
        if logs_step(trainer) and not inside_step(trainer) and self.clock.due(trainer):
            with self.clock.measured():
                self.show(trainer, module)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.sanity_checking:
            with self.clock.measured():
                self.show(trainer, module)


class ReconstructionGrid(ByTheClock):
    """Input | reconstruction | difference of the first images: by the clock as `recon/grid` and
    reconstructions.png, after a test as a PNG per image in reconstructions/.

    Args:
        count: number of images.
        seconds: between two grids.
        progress: PNG file of images and reconstructions, relative to the run's folder; None for none.
    """

    def __init__(self, count: int = 8, seconds: float = 60.0, progress: str | None = None):
        super().__init__(seconds, progress)
        self.count = count

    @torch.no_grad()
    def show(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        batches = trainer.val_dataloaders or trainer.datamodule.val_dataloader()
        images = next(batch for batch in batches if len(batch))[: self.count].to(module.device)
        with in_eval_mode(module):
            shown = _grid_images(module, images)
        grid = make_grid(shown, nrow=len(images))
        trainer.logger.experiment.add_image("recon/grid", grid, trainer.global_step)
        _write_png(Path(trainer.default_root_dir) / "reconstructions.png", grid)
        pairs = [to_image(image * 2 - 1) for image in shown[: 2 * len(images)]]
        labels = ["image"] * len(images) + ["from its codes"] * len(images)
        self.write_progress(trainer, "unseen images, and what their codes keep of them", pairs, labels)

    @torch.no_grad()
    def on_test_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir) / "reconstructions"
        images = (image[None] for batch in trainer.test_dataloaders for image in batch)
        for number, image in enumerate(islice(images, self.count)):
            grid = make_grid(_grid_images(module, image.to(module.device)), nrow=3)
            _write_png(folder / f"{number:02d}.png", grid)


@contextmanager
def in_eval_mode(module: LightningModule) -> Iterator[None]:
    """Puts a module in eval mode within the context."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def _write_png(path: Path, grid: Float[Tensor, "3 h w"]) -> None:
    with atomic_file(path) as beside:
        save_image(grid, beside, format="PNG")


def _grid_images(module: LightningModule, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Images, their reconstructions, and the differences, in 0..1."""
    decoded = module.result.decode(module.result.encode(images).codes)
    return torch.cat((images / 2 + 0.5, decoded / 2 + 0.5, (images - decoded).abs()))


class ReportComplete(Callback):
    """Prints a message when a resumed run has already reached its budget."""

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.trained = False

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.trained = True

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not self.trained:
            step, limit = trainer.global_step, trainer.max_steps
            setting = "max_steps" if 0 <= limit <= step else "max_time or max_epochs"
            done = f"step {step} of {limit}" if 0 <= limit <= step else f"step {step}"
            trainer.print(f"the run is complete at {done}: raise --trainer.{setting} to continue it")


class Export(Callback):
    """Writes the trained model's folder at the end of a fit, or when a signal ends it.

    It has the last weights, or the best ones where validations have become worse since. A fit fails early if
    the folder holds something else.

    Args:
        name: of the folder inside the run's folder.
    """

    def __init__(self, name: str):
        self.name = name

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if stage == "fit":
            module.refuse_foreign(Path(trainer.default_root_dir) / self.name)

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        if not getattr(trainer, "resumes", False):
            refuse_other_kind(Path(trainer.default_root_dir) / LAST, module.state_dict())

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        best = best_weights(trainer)
        if best is not None:
            module.load_state_dict(best.state_dict)
            trainer.print(f"{self.name}/ has the weights of step {best.step:,}: {best.reason}")
        self._write(trainer, module)

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, Interrupted):
            self._write(trainer, module)

    def _write(self, trainer: Trainer, module: LightningModule) -> None:
        folder = Path(trainer.default_root_dir) / self.name
        try:
            module.refuse_foreign(folder)
        except FileExistsError as error:  # created during training, whose weights must not be lost
            names = (folder.with_name(f"{folder.name}-{number}") for number in count(1))
            folder = next(path for path in names if not path.exists())
            log.warning("%s; the result is in %s", error, folder)
        module.export(str(folder))


STRIDE = 1_000_003  # a prime, so that runs with different seeds do not share seeds of batches


class SeedByBatch(Callback):
    """Seeds torch before each batch by (seed of the run, number of the batch).

    A resumed run thus gets the random numbers of an uninterrupted one, without random state in checkpoints.
    """

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *rest) -> None:
        number = trainer.fit_loop.epoch_loop.total_batch_idx
        torch.manual_seed(int(os.environ.get("PL_GLOBAL_SEED", 0)) * STRIDE + number)
