"""Two processes end with one tokenizer: the same codebook, to the bit, with k-means start and revival on.

The last images of an epoch, and of a validation, are too few for both.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from train.tokenizer import main

ROOT = Path(__file__).parents[2]
BY_PICTURE = ("--model.loss.foreground_weight", "1")  # a loss that does not depend on the others of a batch
ADVERSARY = (
    "--model.adversary.counts_from",
    "5",
    "--model.adversary.channels",
    "8",
    "--model.adversary.lecam",
    "0.1",
)

ONE_OVER = ("--data.train.init_args.count", "33", "--data.val.init_args.count", "1")
"""Images of which the last batch of an epoch has one, for the first rank."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "more"),
    [(48, ()), (12, ADVERSARY), (6, ONE_OVER)],
    ids=["plain", "adversary", "last batch empty"],
)
def test_both_ranks_hold_the_same_weights_and_codes(tmp_path, steps, more):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(ROOT / "tests/training/rank.py"), str(tmp_path), "--config", "configs/tokenizer/tiny.yaml",
        "--trainer.max_steps", str(steps), "--trainer.val_check_interval", "1.0",
        "--data.train.init_args.count", "97", "--data.val.init_args.count", "33",
        "--model.quantizer.init_args.revive_below", "1.0", *BY_PICTURE, *more,
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.pop("steps") == second.pop("steps") == steps
    figures = first.pop("figures")
    assert figures == second.pop("figures") and {"val/loss", "val/psnr", "codebook/usage"} <= set(figures)
    for part, tensors in first.items():
        for name, tensor in tensors.items():
            assert tensor.isfinite().all(), name
            if not name.startswith("mean_"):  # running means of a rank's own scores
                assert torch.equal(tensor, second[part][name]), f"{part}.{name}"
    assert (first["tokenizer"]["quantizer.vq._codebook.embed"].std() > 0).all()
    assert measured_alone(tmp_path / "run", *more) == pytest.approx(figures, abs=1e-4)


def measured_alone(folder: Path, *more: str) -> dict[str, float]:
    """The figures of the same images and the same weights in one process."""
    cli = main([
        "validate", "--config", str(ROOT / "configs/tokenizer/tiny.yaml"), "--ckpt_path", "last",
        "--trainer.default_root_dir", str(folder), "--trainer.limit_val_batches", "1.0",
        "--data.val.init_args.count", "33", "--trainer.enable_progress_bar", "false", *BY_PICTURE, *more,
    ])  # fmt: skip
    return {name: float(value) for name, value in cli.trainer.callback_metrics.items() if name != "step"}
