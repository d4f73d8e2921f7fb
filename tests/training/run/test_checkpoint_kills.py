"""Runs that are ended at random moments end as one that never was: the same losses and weights, to the bit.

By SIGKILL, by SIGTERM and Ctrl-C to all processes of a run, and by a disk that is full; with workers,
averaged weights and accumulated steps, in one process and in two under torchrun.
"""

import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.training.run.killable import ROOT, train

KILLS = int(os.environ.get("UNITOK_KILLS", "4"))
"""Of each kind of run."""
STEPS = 48
COMMON = (
    "--trainer.max_steps", str(STEPS), "--trainer.val_check_interval", "6",
    "--model.optimizer.schedule", "constant", "--trainer.limit_val_batches", "1",
    "--trainer.log_every_n_steps", "1", "--model.ema_decay", "0.8",
)  # fmt: skip
ACCUMULATE = {"tokenizer": "--model.accumulate", "transformer": "--trainer.accumulate_grad_batches"}
EXPORTED = {"tokenizer": "image_tokenizer/model.safetensors", "transformer": "model/model.safetensors"}
FULL = 50_000
"""Bytes from which a file cannot grow on a disk that is full: a checkpoint has more, a log fewer."""


class Run:
    """One process that trains."""

    def __init__(self, context, part: str, folder: Path, arguments: list[str]):
        self.process = context.Process(target=train, args=(part, str(folder), arguments))
        self.process.start()

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit code, or None where it still runs."""
        self.process.join(seconds)
        return self.process.exitcode

    def signal(self, number: signal.Signals) -> None:
        """To all processes of the run."""
        os.killpg(self.process.pid, number)

    def fill_disk(self) -> None:
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))


class Torchrun(Run):
    """Two processes that train together."""

    def __init__(self, context, part: str, folder: Path, arguments: list[str]):
        command = [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            str(ROOT / "tests/training/run/killable.py"), part, str(folder), *arguments,
            "--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp",
        ]  # fmt: skip
        own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | own, start_new_session=True, **quiet
        )

    def wait(self, seconds: float | None = None) -> int | None:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number: signal.Signals) -> None:
        """To torchrun's group; it passes on what it can, and SIGKILL goes to each."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, number)
        for child in children if number == signal.SIGKILL else ():
            with suppress(psutil.NoSuchProcess):
                child.kill()

    def fill_disk(self) -> None:
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if psutil.pid_exists(child.pid):
                resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))


ENDS = {
    "SIGTERM": lambda run: run.signal(signal.SIGTERM),
    "SIGKILL": lambda run: run.signal(signal.SIGKILL),
    "Ctrl-C": lambda run: run.signal(signal.SIGINT),
    "full disk": lambda run: run.fill_disk(),
}


@pytest.fixture(scope="module")
def processes():
    """Makes processes that have everything imported, so that most of their time is training."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.run.killable", "train.tokenizer", "train.transformer",
                                    "unitok.training.tokenizer", "unitok.training.transformer"])  # fmt: skip
    return context


def losses(folder: Path) -> dict[tuple[str, int], set[float]]:
    """Every loss that was seen at a step, by all of the run's processes."""
    seen: dict[tuple[str, int], set[float]] = {}
    for path in folder.glob("losses?.jsonl"):
        for line in path.read_text().splitlines():
            step, loss = json.loads(line)
            seen.setdefault((path.name, step), set()).add(loss)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "workers", "accumulate", "kind"),
    [
        ("tokenizer", 0, 1, Run),
        ("tokenizer", 2, 2, Run),
        ("transformer", 0, 2, Run),
        ("transformer", 2, 1, Run),
        ("transformer", 1, 2, Torchrun),
    ],
)
def test_runs_that_are_ended_end_as_one_that_never_was(
    tmp_path, processes, image_tokenizer, part, workers, accumulate, kind
):
    more = [*COMMON, "--data.workers", str(workers), ACCUMULATE[part], str(accumulate)]
    if part == "transformer":
        more += [
            "--data.codec.image_tokenizer",
            str(image_tokenizer),
            "--model.loss.token_dropout.text",
            "0.2",
        ]
        more += ["--data.train.init_args.count", "192"]  # epochs of whole steps
    for folder in ("first", "whole"):  # the first also waits for the imports
        began = time.monotonic()
        assert kind(processes, part, tmp_path / folder, more).wait() == 0
        lasts = time.monotonic() - began
    whole, truth = load_file(tmp_path / "whole" / EXPORTED[part]), losses(tmp_path / "whole")
    assert {step for _, step in truth} >= set(range(1, STEPS + 1))
    kills, saved, runs, rng, ends = 0, 0, 0, random.Random(workers), cycle(ENDS)
    while kills < KILLS:
        folder, runs = tmp_path / f"ended{runs}", runs + 1
        while True:
            run = kind(processes, part, folder, more)
            if run.wait(rng.uniform(0.2, 0.9) * lasts if kills < KILLS else None) is not None:
                break
            end = next(ends)
            ENDS[end](run)
            code, kills = run.wait(120), kills + 1
            if code is None:
                run.signal(signal.SIGKILL)
            assert code is not None, f"{end} does not end the run"
            saved += (folder / "last.ckpt").is_file()
            if end == "full disk" and code == 0:  # it had nothing more to write
                break
        assert run.wait() == 0, f"the run resumed after {kills} ends"
        assert all(seen <= truth[step] for step, seen in losses(folder).items())
        for name, tensor in load_file(folder / EXPORTED[part]).items():
            assert torch.equal(tensor, whole[name]), name
    print(f"{kind.__name__} {part}, {workers} workers, {accumulate} batches a step: {kills} ends, "
          f"{saved} with a checkpoint, in {runs} runs")  # fmt: skip
