"""Callbacks of all runs: images in TensorBoard, export, seeds by batch. Knows public calls only."""

import logging
import os
from itertools import count, islice
from pathlib import Path

import torch
from jaxtyping import Float
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchvision.utils import make_grid, save_image

from unitok.atomic_files import file_beside
from unitok.training.run.checkpoint import LAST
from unitok.training.run.resume_check import refuse_other_kind

log = logging.getLogger(__name__)


class ReconstructionGrid(Callback):
    """Input | reconstruction | difference of the first pictures: after each validation as `recon/grid` and
    reconstructions.png, after a test as a PNG per picture in reconstructions/.

    Args:
        count: pictures shown.
    """

    def __init__(self, count: int = 8):
        self.count = count

    @torch.no_grad()
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        images = next(batch for batch in trainer.val_dataloaders if len(batch))[: self.count].to(
            module.device
        )
        grid = make_grid(_rows(module, images), nrow=len(images))
        trainer.logger.experiment.add_image("recon/grid", grid, trainer.global_step)
        _write(Path(trainer.default_root_dir) / "reconstructions.png", grid)

    @torch.no_grad()
    def on_test_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir) / "reconstructions"
        pictures = (image[None] for batch in trainer.test_dataloaders for image in batch)
        for number, image in enumerate(islice(pictures, self.count)):
            grid = make_grid(_rows(module, image.to(module.device)), nrow=3)
            _write(folder / f"{number:02d}.png", grid)


def _write(path: Path, grid: Float[Tensor, "3 h w"]) -> None:
    with file_beside(path) as beside:
        save_image(grid, beside, format="PNG")


def _rows(module: LightningModule, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Images, their reconstructions, and the differences, in 0..1."""
    again = module.result.decode(module.result.encode(images).codes)
    return torch.cat((images / 2 + 0.5, again / 2 + 0.5, (images - again).abs()))


class TellIfComplete(Callback):
    """Says so where a run that goes on has nothing left to do."""

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.began = False

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.began = True

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not self.began:
            step, most = trainer.global_step, trainer.max_steps
            more = "max_steps" if 0 <= most <= step else "max_time or max_epochs"
            done = f"step {step} of {most}" if 0 <= most <= step else f"step {step}"
            trainer.print(f"the run is complete at {done}: raise --trainer.{more} to go on")


class Export(Callback):
    """At the end of a fit write the trained part's folder; refuse to begin where that holds something else.

    Args:
        name: folder inside the run's folder.
    """

    def __init__(self, name: str):
        self.name = name

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if stage == "fit":
            module.refuse_foreign(Path(trainer.default_root_dir) / self.name)

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        if not getattr(trainer, "goes_on", False):
            refuse_other_kind(Path(trainer.default_root_dir) / LAST, module.state_dict())

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        folder = Path(trainer.default_root_dir) / self.name
        try:
            module.refuse_foreign(folder)
        except FileExistsError as error:  # it came while the run was training, whose weights must not be lost
            folder = next(place for number in count(1) if not (place := _numbered(folder, number)).exists())
            log.warning("%s; the result is in %s", error, folder)
        module.export(str(folder))


def _numbered(folder: Path, number: int) -> Path:
    return folder.with_name(f"{folder.name}-{number}")


STRIDE = 1_000_003  # a prime; batches of one run and another seed's do not meet


class RandomByBatch(Callback):
    """Seeds torch before each batch by (seed of the run, number of the batch).

    So a run that goes on from a checkpoint draws what it would have drawn, and no state has to be kept.
    """

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *rest) -> None:
        number = trainer.fit_loop.epoch_loop.total_batch_idx
        torch.manual_seed(int(os.environ.get("PL_GLOBAL_SEED", 0)) * STRIDE + number)
