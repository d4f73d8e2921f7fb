"""Random numbers of a batch that depend on its number alone. Knows no model and no data."""

import os

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

STRIDE = 1_000_003  # a prime; batches of one run and another seed's do not meet


class RandomByBatch(Callback):
    """Seeds torch before each batch by (seed of the run, number of the batch).

    So a run that goes on from a checkpoint draws what it would have drawn, and no state has to be kept.
    """

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *rest) -> None:
        number = trainer.fit_loop.epoch_loop.total_batch_idx
        torch.manual_seed(int(os.environ.get("PL_GLOBAL_SEED", 0)) * STRIDE + number)
