"""Weights sharded over two processes (FSDP2) train, resume and export like those of one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.run.test_checkpoint import sharded
from train.transformer import main

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "configs/transformer/tiny.yaml"
STEADY = (
    "--model.optimizer.name", "adamw", "--model.optimizer.schedule", "constant", "--data.task.name", "draw",
    "--data.task.condition_dropout", "0", "--trainer.max_steps", "4", "--trainer.val_check_interval", "2",
    "--trainer.limit_val_batches", "2",
)  # fmt: skip
KINDS = {"ema": ("--model.ema_decay", "0.7"), "lora": ("--model.lora.rank", "2"),
         "both": ("--model.ema_decay", "0.7", "--model.lora.rank", "2"),
         "accumulated": ("--model.ema_decay", "0.7", "--trainer.accumulate_grad_batches", "2",
                         "--trainer.val_check_interval", "4"),
         "recomputed": ("--model.compute.recompute", "true"),
         "with biases": ("--model.sizes.variant.qkv_bias", "true", "--model.ema_decay", "0.7")}  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")


def alone(folder: Path, *more: str) -> dict:
    """Runs one process on the same global batches; returns what it exports."""
    main([
        "fit", "--config", str(CONFIG), "--threads", "1", "--trainer.enable_progress_bar", "false",
        "--trainer.default_root_dir", str(folder), "--data.batch_size", "16", *STEADY, *more,
    ])  # fmt: skip
    return load_file(folder / "model/model.safetensors")


def together(folder: Path, runs: list) -> list[list[int]]:
    """Does runs in two processes; returns each one's exit code and batches."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(ROOT / "tests/training/weights/sharded_rank.py"), str(folder), json.dumps(runs),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return json.loads((folder / "outcomes.json").read_text())


@pytest.mark.slow
def test_averages_updates_and_held_rows_are_trained_resumed_and_exported(tmp_path, image_tokenizer):
    pytest.importorskip("peft")
    given = ["--data.codec.image_tokenizer", str(image_tokenizer)]
    origin = alone(tmp_path / "origin", *given)
    whole = {name: alone(tmp_path / f"alone_{name}", *given, *kind) for name, kind in KINDS.items()}
    start = [
        "--model.start.init_from", str(tmp_path / "origin/model"), "--data.codec.image_tokenizer", "null",
        "--data.codec.locations", "[box]",
    ]  # fmt: skip
    ran = tmp_path / "folder/last.ckpt"
    ran.parent.mkdir()
    ran.touch()
    sharded(ran)
    runs = []
    for name, kind in KINDS.items():
        fit = [*STEADY, *given, *kind]
        runs += [[name, fit, None], [name, [*fit, "--ckpt_path", "auto"], "last.ckpt"]]
    held = [*STEADY, *start, "--model.start.freeze_steps", "4"]
    runs += [["held", held, None], ["held", [*held, "--ckpt_path", "auto"], "last.ckpt"]]
    runs += [["folder", [*STEADY, *given, "--ckpt_path", "auto"], None]]
    outcomes = together(tmp_path, runs)
    for (name, *_), (code, batches) in zip(runs[:-1:2], outcomes[:-1:2], strict=True):
        assert (code, batches) == (0, 8 if name == "accumulated" else 4), name
    for (name, *_), (code, batches) in zip(runs[1:-1:2], outcomes[1:-1:2], strict=True):
        assert (code, batches) == (0, 4 if name == "accumulated" else 2), f"{name}, from previous.ckpt"
    assert outcomes[-1][0] == 2 and not (tmp_path / "folder/ran").exists()
    for name, theirs in whole.items():
        ours = load_file(tmp_path / name / "model/model.safetensors")
        for key, tensor in theirs.items():
            assert torch.allclose(ours[key], tensor, atol=2e-4), f"{name}: {key}"
    ours = load_file(tmp_path / "held/model/model.safetensors")
    for key, tensor in origin.items():
        assert torch.equal(ours[key][: len(tensor)], tensor), key
    assert len(ours["embedding.weight"]) > len(origin["embedding.weight"])
