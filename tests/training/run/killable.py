"""A training in a process that may be killed at any moment; started by test_checkpoint_kills.py."""

import json
import multiprocessing
import os
import sys
from pathlib import Path

from lightning.pytorch import Callback

ROOT = Path(__file__).parents[3]


class Record(Callback):
    """Appends every step's number and loss to a file, at once."""

    def __init__(self, path: Path):
        self.path = path

    def on_train_batch_end(self, trainer, module, outputs, *rest):
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        with self.path.open("a") as file:
            file.write(json.dumps([trainer.global_step, float(loss)]) + "\n")


def train(part: str, folder: str, arguments: list[str]) -> None:
    """Run a part's script into a folder, quietly, in a process group of its own."""
    import torch

    if "RANK" not in os.environ:  # torchrun has made a group
        os.setpgrp()
    multiprocessing.set_start_method("fork", force=True)  # of workers, as in a process of one's own
    torch.set_num_threads(1)
    os.chdir(ROOT)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    if part == "tokenizer":
        from train.tokenizer import main
        from unitok.training.tokenizer import TokenizerTraining as Module
    else:
        from train.transformer import main
        from unitok.training.transformer import TransformerTraining as Module
    losses = f"losses{os.environ.get('RANK', '0')}.jsonl"
    Module.configure_callbacks = lambda self: [Record(Path(folder) / losses)]
    Path(folder).mkdir(parents=True, exist_ok=True)
    main([
        "fit", "--config", f"configs/{part}/tiny.yaml", "--threads", "1", "--ckpt_path", "auto",
        "--trainer.default_root_dir", folder, "--trainer.enable_progress_bar", "false", *arguments,
    ])  # fmt: skip


if __name__ == "__main__":
    train(sys.argv[1], sys.argv[2], sys.argv[3:])
