"""Two processes train the same transformer as one with the same global batch: replicated, and sharded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from unitok.api.unitok import UniTok

ROOT = Path(__file__).parents[2]
STEPS = 50
STRATEGIES = {
    "ddp": ("--trainer.strategy", "ddp"),
    "fsdp2": ("--trainer.strategy", "lightning.pytorch.strategies.ModelParallelStrategy",
              "--trainer.strategy.data_parallel_size", "2", "--trainer.strategy.tensor_parallel_size", "1",
              "--trainer.strategy.save_distributed_checkpoint", "false"),
}  # fmt: skip


def trained(folder: Path, image_tokenizer: Path, *more: str, ranks: int) -> list[dict]:
    """What each rank saved."""
    folder.mkdir(exist_ok=True)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks),
        str(ROOT / "tests/training/transformer_rank.py"), str(folder), "--trainer.devices", str(ranks),
        "--data.batch_size", str(16 // ranks), "--data.codec.image_tokenizer", str(image_tokenizer),
        "--trainer.max_steps", str(STEPS), "--trainer.val_check_interval", "1.0", *more,
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-3000:]
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(ranks)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, image_tokenizer) -> dict:
    return trained(tmp_path_factory.mktemp("alone") / "run", image_tokenizer, ranks=1)[0]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_processes_train_what_one_does(tmp_path, image_tokenizer, alone, strategy):
    both = trained(tmp_path / "two", image_tokenizer, *STRATEGIES[strategy], ranks=2)
    assert [rank["steps"] for rank in both] == [STEPS, STEPS] == [alone["steps"]] * 2
    for ours, theirs in zip(both[0]["losses"], alone["losses"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
    assert both[0]["losses"] == both[1]["losses"]
    for name, tensor in both[0]["state"].items():
        assert torch.equal(tensor, both[1]["state"][name]), name
    read = [
        sorted((epoch, i) for rank in runs for epoch, indices in rank["documents"] for i in indices)
        for runs in (both, [alone])
    ]
    assert read[0] == read[1] and len(set(read[0])) == len(read[0])
    model = UniTok.from_pretrained(tmp_path / "two/run/model")
    assert torch.equal(model.model.norm.weight, both[0]["state"]["norm.weight"])


@pytest.mark.slow
def test_what_a_mixture_gave_is_counted_over_ranks_and_starts(tmp_path, image_tokenizer):
    """Two ranks that resume count what one uninterrupted process counts."""
    mixture = ("--config", str(ROOT / "configs/data/mixture.yaml"), "--trainer.val_check_interval", "2")
    read = {}
    for name, ranks, starts in (("one", 1, ["8"]), ("two", 2, ["4", "8"])):
        for steps in starts:
            more = (*mixture, "--trainer.max_steps", steps, "--ckpt_path", "auto")
            trained(tmp_path / name, image_tokenizer, *more, ranks=ranks)
        read[name] = json.loads((tmp_path / name / "run/data_mixture.json").read_text())
    assert read["two"] == read["one"] and sum(part["documents"] for part in read["one"].values()) == 8 * 16
