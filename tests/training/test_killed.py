"""Runs that are killed (SIGKILL) at random moments end as one that never was: the same losses and weights."""

import json
import multiprocessing
import random
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.killable import train

KILLS = 5  # of each kind of run: 20 in all
STEPS = 48
COMMON = (
    "--trainer.max_steps", str(STEPS), "--trainer.val_check_interval", "3", "--model.schedule", "constant",
    "--trainer.limit_val_batches", "1", "--trainer.log_every_n_steps", "1",
)  # fmt: skip
EXPORTED = {"tokenizer": "image_tokenizer/model.safetensors", "transformer": "model/model.safetensors"}


@pytest.fixture(scope="module")
def processes():
    """Makes processes that have everything imported, so that most of their time is training."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.killable", "train.tokenizer", "train.transformer",
                                    "unitok.training.tokenizer", "unitok.training.transformer"])  # fmt: skip
    return context


def losses(folder: Path) -> dict[int, set[float]]:
    """Every loss that was seen at a step, by all of the run's processes."""
    seen: dict[int, set[float]] = {}
    for line in (folder / "losses.jsonl").read_text().splitlines():
        step, loss = json.loads(line)
        seen.setdefault(step, set()).add(loss)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("part", ["tokenizer", "transformer"])
def test_killed_runs_end_as_one_never_killed(tmp_path, processes, image_tokenizer, part, workers):
    more = [*COMMON, "--data.workers", str(workers)]
    if part == "transformer":
        more += ["--data.image_tokenizer", str(image_tokenizer), "--model.hide_text", "0.2"]

    def start(folder: Path):
        process = processes.Process(target=train, args=(part, str(folder), more))
        process.start()
        return process

    for folder in ("first", "whole"):  # the first also waits for the imports
        began = time.monotonic()
        (process := start(tmp_path / folder)).join()
        lasts = time.monotonic() - began
        assert process.exitcode == 0
    whole = load_file(tmp_path / "whole" / EXPORTED[part])
    truth = losses(tmp_path / "whole")
    assert set(truth) == set(range(1, STEPS + 1))
    kills, runs, rng = 0, 0, random.Random(workers)
    while kills < KILLS:
        folder, runs = tmp_path / f"killed{runs}", runs + 1
        while True:
            process = start(folder)
            process.join(rng.uniform(0.1, 0.7) * lasts if kills < KILLS else None)
            if not process.is_alive():
                break
            process.kill()
            process.join()
            kills += 1
        assert process.exitcode == 0
        assert losses(folder) == truth
        for name, tensor in load_file(folder / EXPORTED[part]).items():
            assert torch.equal(tensor, whole[name]), name
    print(f"{part}, {workers} workers: {kills} kills in {runs} runs")
