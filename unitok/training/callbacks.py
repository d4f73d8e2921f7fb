"""What is seen while a run learns: pictures in TensorBoard and in the run's folder. Knows public calls
only."""

from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torchvision.utils import make_grid, save_image


class ReconstructionGrid(Callback):
    """After each validation: input | reconstruction | difference of the first pictures, as `recon/grid` and
    a PNG.

    Args:
        count: pictures shown.
    """

    def __init__(self, count: int = 8):
        self.count = count

    @torch.no_grad()
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        images = next(iter(trainer.val_dataloaders))[: self.count].to(module.device)
        again = module.tokenizer.decode(module.tokenizer.encode(images).codes).clamp(-1, 1)
        rows = torch.cat((images, again, (images - again).abs() * 2 - 1))
        grid = make_grid((rows + 1) / 2, nrow=len(images))
        trainer.logger.experiment.add_image("recon/grid", grid, trainer.global_step)
        save_image(grid, Path(trainer.default_root_dir) / "reconstructions.png")


class Export(Callback):
    """At the end of a fit, and when it is stopped, write the trained part's folder.

    Args:
        name: folder inside the run's folder.
    """

    def __init__(self, name: str):
        self.name = name

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.is_global_zero:
            module.export(str(Path(trainer.default_root_dir) / self.name))
