"""Samples during training are logged at each validation and leave the training unchanged."""

import json

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from tests.tiny_model import tiny_model
from unitok.training.samples import ShapesAccuracy

MODEL = tiny_model(shape=(6, 6))
KINDS = ("caption", "image", "drawing_caption")


class Pretend(LightningModule):
    """Trains one number, validates nothing, and has a tiny model to show."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.drawn: list[float] = []

    def training_step(self, batch, batch_idx):
        self.drawn.append(float(torch.rand(())))
        return self.weight.square()

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def model_with_codec(self):
        return MODEL


@pytest.fixture
def run(tmp_path):
    """Trains for four batches with a validation after every other; returns the module."""

    def fit(*callbacks) -> Pretend:
        torch.manual_seed(0)
        module, loader = Pretend(), DataLoader(torch.zeros(4, 1))
        trainer = Trainer(
            default_root_dir=tmp_path, max_epochs=1, val_check_interval=2, callbacks=list(callbacks),
            logger=TensorBoardLogger(tmp_path, name="", version="logs"), accelerator="cpu",
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
            enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(module, loader, DataLoader(torch.zeros(1, 1)))
        return module

    return fit


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_accuracies_are_appended_at_each_validation_and_nothing_is_disturbed(run, tmp_path):
    plain = run().drawn
    module = run(ShapesAccuracy(canvas=48, scenes=1))
    rows = [json.loads(line) for line in (tmp_path / "accuracy.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4] and all(row["seconds"] >= 0 for row in rows)
    names = {f"{prefix}{kind}_accuracy" for prefix in ("", "heldout_") for kind in KINDS}
    assert set(rows[0]) == names | {"step", "seconds"}
    assert all(0 <= row[name] <= 1 for row in rows for name in names)
    assert module.drawn == plain, "the random state of the training was touched"
