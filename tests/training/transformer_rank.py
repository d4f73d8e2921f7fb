"""One of one or two processes that train a transformer; run by test_transformer_ranks.py through torchrun.

Writes every step's loss of the global batch, the documents that this rank read, and the final weights.
"""

import sys
from pathlib import Path

import torch
from lightning.pytorch import Callback
from torch.distributed import all_reduce

from train.transformer import main
from unitok.data.batches.packed_documents import PackedDocuments
from unitok.training.transformer import TransformerTraining
from unitok.training.weights.parallelize import full_tensor


class Keep(Callback):
    """Saves what this rank saw and what it ends with."""

    def __init__(self, folder: Path):
        self.folder, self.losses, self.documents, self.seen = folder, [], [], []

    def on_train_start(self, trainer, module):
        data, original = trainer.datamodule._packed["train"], PackedDocuments.__getitem__

        def reading(dataset, window):
            if dataset is data:
                self.documents.append((window.epoch, window.indices))
            return original(dataset, window)

        PackedDocuments.__getitem__ = reading

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.seen.append(batch.tiles is not None)
        with torch.no_grad():
            sums = module.sums(batch)
        both = torch.stack([sums.total, sums.weight])
        if trainer.world_size > 1:
            all_reduce(both)
        self.losses.append(float(both[0] / both[1]))

    def on_fit_end(self, trainer, module):
        state = {name: full_tensor(tensor) for name, tensor in module.model.state_dict().items()}
        kept = {"losses": self.losses, "documents": self.documents, "steps": trainer.global_step}
        kept["seen"] = self.seen
        torch.save(kept | {"state": state}, self.folder / f"rank{trainer.global_rank}.pt")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    TransformerTraining.configure_callbacks = lambda self: [Keep(folder)]
    main([
        "fit", "--threads", "1", "--config", "configs/transformer/tiny.yaml", "--trainer.accelerator", "cpu",
        "--trainer.enable_progress_bar", "false", "--trainer.default_root_dir", str(folder / "run"),
        "--trainer.limit_val_batches", "1", "--model.optimizer.name", "adamw",
        "--model.optimizer.schedule", "constant", "--data.task.name", "draw",
        "--data.task.condition_dropout", "0", *sys.argv[2:],
    ])  # fmt: skip
