"""An interrupted run saves, exits with the signal's code, and resumes as if it had never stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from tests.cases import rare
from train.tokenizer import main
from unitok.training.run.checkpoint import LAST, PREVIOUS
from unitok.training.run.interruption import SaveOften
from unitok.training.tokenizer import TokenizerTraining

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args")
ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "configs/tokenizer/tiny.yaml"
STEADY = (
    "--model.optimizer.schedule", "constant", "--model.settle", "0", "--model.quantizer.revive_below", "0",
    "--data.train.init_args.count", "72", "--data.val.init_args.count", "40", "--trainer.max_steps", "6",
    "--trainer.val_check_interval", "2", "--trainer.limit_val_batches", "3",
)  # fmt: skip


class Signal(Callback):
    """Sends itself a signal twice, as a launcher does that passes on what the terminal sent to all, at the
    end of a training batch, or of a batch of a validation."""

    def __init__(self, number: int, *, step: int, validating: bool):
        self.number, self.step, self.validating = number, step, validating

    def on_train_batch_start(self, trainer, *rest):
        if not self.validating and trainer.global_step == self.step:
            self._twice()

    def on_validation_batch_start(self, trainer, module, batch, batch_idx, *rest):
        if self.validating and trainer.global_step == self.step and batch_idx == 1:
            self._twice()

    def _twice(self):
        for _ in range(2):
            os.kill(os.getpid(), self.number)


def fit(folder: Path, *more: str) -> str:
    """Runs the tiny config into a folder; returns the tokenizer's fingerprint."""
    cli = main([
        "fit", "--config", str(CONFIG), "--threads", "1", "--trainer.enable_progress_bar", "false",
        "--trainer.default_root_dir", str(folder), *STEADY, *more,
    ])  # fmt: skip
    return cli.model.tokenizer.fingerprint()


@pytest.fixture
def train(monkeypatch, tmp_path):
    """Runs the tiny config into a folder of the test, with callbacks; returns the tokenizer's fingerprint."""

    def run(folder, *more, callbacks=()):
        monkeypatch.setattr(TokenizerTraining, "configure_callbacks", lambda self: list(callbacks))
        return fit(tmp_path / folder, *more)

    return run


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Gives the folder and the fingerprint of a run that is never stopped, trained once for its options."""
    runs = {}

    def run(*options: str) -> tuple[Path, str]:
        if options not in runs:
            folder = tmp_path_factory.mktemp("whole")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(TokenizerTraining, "configure_callbacks", lambda self: [])
                runs[options] = folder, fit(folder, *options)
        return runs[options]

    return run


@pytest.fixture
def complete(uninterrupted, tmp_path) -> str:
    """The folder `run` of a complete run, as that test's own; its fingerprint."""
    folder, fingerprint = uninterrupted()
    shutil.copytree(folder, tmp_path / "run")
    return fingerprint


@pytest.mark.parametrize(
    ("number", "code", "validating"),
    [
        (signal.SIGINT, 130, False), (signal.SIGTERM, 143, True),
        rare(signal.SIGINT, 130, True), rare(signal.SIGTERM, 143, False),
    ],
)  # fmt: skip
def test_a_signal_saves_and_the_run_goes_on_exactly(
    train, uninterrupted, tmp_path, capsys, number, code, validating
):
    (_, whole), handler = uninterrupted(), signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped:
        train("parts", callbacks=[Signal(number, step=2, validating=validating)])
    assert stopped.value.code == code
    assert f"{signal.Signals(number).name}: saved; --ckpt_path last resumes" in capsys.readouterr().out
    saved = torch.load(tmp_path / "parts" / LAST, weights_only=True)
    assert saved["global_step"] == 3 - validating
    assert train("parts", "--ckpt_path", "auto") == whole
    assert signal.getsignal(signal.SIGTERM) == handler, "the handlers are given back"


def test_a_signal_that_comes_again_later_ends_at_once(monkeypatch, capfd):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    callback = SaveOften(Path())
    callback._handle(signal.SIGINT, None)
    callback._handle(signal.SIGINT, None)
    assert not ended and capfd.readouterr().out.count("SIGINT: saving") == 1
    monkeypatch.setattr("unitok.training.run.interruption.REPEAT_SECONDS", 0.0)
    callback._handle(signal.SIGINT, None)
    assert ended == [130]


def test_a_signal_in_the_midst_of_a_print_ends_nothing(monkeypatch):
    def closed(*_):
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", closed)
    monkeypatch.setattr("builtins.print", closed)
    callback = SaveOften(Path())
    callback._handle(signal.SIGTERM, None)
    assert callback.signal == signal.SIGTERM


def test_auto_begins_a_run_where_none_is_and_names_what_changed(train, capsys):
    first = train("run", "--ckpt_path", "auto", "--trainer.max_steps", "2")
    assert "->" not in capsys.readouterr().out
    assert train("run", "--ckpt_path", "auto", "--model.optimizer.lr", "0.001") != first
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "->" in line] == [
        "model.optimizer.lr: 0.004 -> 0.001",
        "trainer.max_steps: 2 -> 6",
    ]


class StopAt(Callback):
    """Ends a run after a step, as its time does."""

    def __init__(self, step: int):
        self.step = step

    def on_train_batch_end(self, trainer, *rest):
        trainer.should_stop = trainer.global_step == self.step


SELDOM = ("--trainer.val_check_interval", "100")
EPOCHS = ("--trainer.max_steps", "-1", "--trainer.max_epochs", "3")
ENDS = {
    "before a validation": (("--trainer.max_steps", "3"), SELDOM, 3),
    "between validations": (("--trainer.max_steps", "3"), (), 3),
    "with an epoch": (("--trainer.max_steps", "-1", "--trainer.max_epochs", "1"), (*SELDOM, *EPOCHS), 5),
    "in an epoch": (("--trainer.max_steps", "3"), (*SELDOM, *EPOCHS), 3),
}
"""Why a run ends, what else it is told, and its step then."""


@pytest.mark.parametrize("end", ENDS)
def test_a_run_goes_on_exactly_from_wherever_it_ended(train, uninterrupted, tmp_path, end):
    ends, options, step = ENDS[end]
    folder, whole = uninterrupted(*options)
    train("parts", *options, *ends)
    assert torch.load(tmp_path / "parts" / LAST, weights_only=True)["global_step"] == step
    assert train("parts", *options, "--ckpt_path", "last") == whole
    saved = [torch.load(run / LAST, weights_only=True) for run in (folder, tmp_path / "parts")]
    assert [saved[0][name] == saved[1][name] for name in ("global_step", "epoch")] == [True, True]


def test_a_run_whose_time_is_up_saves_without_a_validation(train, uninterrupted):
    unseen = ("--trainer.limit_val_batches", "0")
    _, whole = uninterrupted(*unseen)
    train("parts", *unseen, callbacks=[StopAt(3)])
    assert train("parts", *unseen, "--ckpt_path", "last") == whole


def test_a_run_saves_once_where_a_validation_has_just_saved(train, complete, tmp_path):
    again = tmp_path / "run" / LAST
    before = again.stat().st_mtime_ns
    train("run", "--ckpt_path", "last")
    assert again.stat().st_mtime_ns == before, "a complete run is left alone"
    assert torch.load(tmp_path / "run" / PREVIOUS, weights_only=True)["global_step"] == 4


def test_the_previous_checkpoint_is_read_where_the_last_is_damaged(train, complete, tmp_path, caplog):
    last, previous = tmp_path / "run" / LAST, tmp_path / "run" / PREVIOUS
    steps = [torch.load(path, weights_only=True)["global_step"] for path in (previous, last)]
    assert steps == sorted(steps) and steps[0] < steps[1]
    last.write_bytes(last.read_bytes()[:1000])
    assert train("run", "--ckpt_path", "last") == complete
    assert "resuming from previous.ckpt" in caplog.text


@pytest.mark.parametrize("asked", ["auto", pytest.param("last", marks=pytest.mark.slow)])
def test_a_run_goes_on_from_the_previous_checkpoint_alone(train, complete, tmp_path, caplog, asked):
    (tmp_path / "run" / LAST).unlink()
    assert train("run", "--ckpt_path", asked) == complete
    assert "last.ckpt: not found; resuming from previous.ckpt" in caplog.text


@pytest.mark.parametrize("command", ["validate", "test"])
def test_nothing_is_measured_where_the_last_checkpoint_is_not_there(tmp_path, command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([
            command, "--config", str(CONFIG), "--threads", "1", "--ckpt_path", "last",
            "--trainer.enable_progress_bar", "false", "--trainer.default_root_dir", str(tmp_path),
        ])  # fmt: skip
    assert stopped.value.code == 2 and "last.ckpt: not found" in capsys.readouterr().err


def test_a_folder_is_no_checkpoint_to_go_on_from(train, tmp_path, capsys):
    (tmp_path / "run" / LAST).mkdir(parents=True)
    with pytest.raises(SystemExit) as stopped:
        train("run", "--ckpt_path", "auto")
    assert stopped.value.code == 2 and "last.ckpt: a folder" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_was_saved(tmp_path):
    """kill -9 at any moment: the checkpoint loads, and the run resumes from it."""
    command = [
        sys.executable, "train/tokenizer.py", "fit", "--config", str(CONFIG), "--threads", "1", "--ckpt_path",
        "auto",
        "--trainer.enable_progress_bar", "false", "--trainer.default_root_dir", str(tmp_path), *STEADY,
        "--trainer.max_steps", "400",
    ]  # fmt: skip
    steps = []
    for seconds in (9, 11, 13):
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        time.sleep(seconds)
        process.kill()
        process.wait()
        if (tmp_path / LAST).is_file():
            steps.append(torch.load(tmp_path / LAST, weights_only=True)["global_step"])
    assert steps and steps == sorted(steps), json.dumps(steps)
