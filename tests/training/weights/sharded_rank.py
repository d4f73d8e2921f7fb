"""One of two processes that train a transformer sharded by FSDP2; run by test_parallelize_resumed.py.

Does one run after the other, given as JSON: a folder's name, arguments, and a file to be cut off first.
Writes each one's exit code and batches to `outcomes.json`.
"""

import json
import sys
from pathlib import Path

import torch.distributed as dist
from lightning.pytorch import Callback

from train.transformer import main
from unitok.training.transformer import TransformerTraining

RUN = (
    "fit", "--threads", "1", "--config", "configs/transformer/tiny.yaml", "--trainer.accelerator", "cpu",
    "--trainer.devices", "2", "--trainer.strategy", "lightning.pytorch.strategies.ModelParallelStrategy",
    "--trainer.strategy.data_parallel_size", "2", "--trainer.strategy.tensor_parallel_size", "1",
    "--trainer.strategy.save_distributed_checkpoint", "false", "--data.batch_size", "8",
    "--trainer.enable_progress_bar", "false",
)  # fmt: skip


class Count(Callback):
    """Counts the batches of a run."""

    def __init__(self):
        self.batches = 0

    def on_train_batch_end(self, *rest):
        self.batches += 1


def outcome(folder: Path, *arguments: str) -> list[int]:
    """Exit code and batches of a run."""
    count = Count()
    TransformerTraining.configure_callbacks = lambda self: [count]
    try:
        main([*RUN, "--trainer.default_root_dir", str(folder), *arguments])
    except SystemExit as stop:
        return [stop.code, count.batches]
    return [0, count.batches]


if __name__ == "__main__":
    place, outcomes = Path(sys.argv[1]), []
    for name, arguments, damaged in json.loads(sys.argv[2]):
        if dist.is_initialized():
            dist.barrier()
        if damaged and dist.get_rank() == 0:
            path = place / name / damaged
            path.write_bytes(path.read_bytes()[:1000])
        if dist.is_initialized():
            dist.barrier()
        outcomes.append(outcome(place / name, *arguments))
    if dist.get_rank() == 0:
        (place / "outcomes.json").write_text(json.dumps(outcomes))
