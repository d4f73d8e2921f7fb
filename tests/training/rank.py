"""One of two processes that train a tokenizer together; run by test_tokenizer_ranks.py through torchrun.

Writes the state that it ends with to rank0.pt or rank1.pt in the folder that is its first argument.
"""

import sys
from pathlib import Path

import torch
from lightning.pytorch import Callback

from train.tokenizer import main
from unitok.training.tokenizer import TokenizerTraining


class KeepState(Callback):
    """Saves what this rank holds."""

    def __init__(self, folder: Path):
        self.folder = folder

    def on_fit_end(self, trainer, module):
        parts = {"tokenizer": module.tokenizer, "adversary": module.adversary}
        state = {name: part.state_dict() for name, part in parts.items() if part is not None}
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        figures = {name: value for name, value in metrics.items() if name.startswith(("val/", "codebook/u"))}
        kept = {"steps": trainer.global_step, "figures": figures}
        torch.save(state | kept, self.folder / f"rank{trainer.global_rank}.pt")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    TokenizerTraining.configure_callbacks = lambda self: [KeepState(folder)]
    main([
        "fit", "--threads", "1", "--trainer.accelerator", "cpu", "--trainer.devices", "2",
        "--trainer.strategy", "ddp", "--trainer.enable_progress_bar", "false",
        *sys.argv[2:], "--trainer.default_root_dir", str(folder / "run"),
    ])  # fmt: skip
