"""What a run tells: its log, its line, its folder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lightning.pytorch import Callback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.commands import ROOT
from tests.training.conftest import image_tokenizer  # noqa: F401 (a fixture)
from train.tokenizer import main as train_tokenizer
from train.transformer import main as train_transformer
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer

pytestmark = pytest.mark.filterwarnings("ignore:.*args parameter is intended")
STEPS = 40


class Losses(Callback):
    """Keeps the loss of every step."""

    def __init__(self):
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer, module, outputs, *rest):
        self.losses.append(float(outputs["loss"]))


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """The scalars of a run's log: value by step, by name."""
    events = EventAccumulator(str(folder / "logs"))
    events.Reload()
    return {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


@pytest.fixture
def fit(monkeypatch, tmp_path, image_tokenizer):  # noqa: F811
    """Trains a part by its tiny config; the run's folder and every step's loss."""
    monkeypatch.chdir(ROOT)

    def run(part: str, *more: str) -> tuple[Path, list[float]]:
        few = ("--data.train.init_args.count", "64", "--data.val.init_args.count", "8")
        main, own = train_tokenizer, ("--data.batch_size", "4", *few)
        if part == "transformer":
            main, own = train_transformer, ("--data.codec.image_tokenizer", str(image_tokenizer), *few)
        recorder, folder = Losses(), tmp_path / part
        module = f"unitok.training.{part}.{part.capitalize()}Training.configure_callbacks"
        monkeypatch.setattr(module, lambda self: [recorder])
        main([
            "fit", "--config", f"configs/{part}/tiny.yaml", "--threads", "1", "--trainer.callbacks", "null",
            "--trainer.default_root_dir", str(folder), *own, *more,
        ])  # fmt: skip
        return folder, recorder.losses

    return run


@pytest.mark.parametrize("part", ["tokenizer", "transformer"])
def test_a_short_run_has_a_curve_of_every_figure_at_its_true_steps(fit, part, capsys):
    folder, losses = fit(part, "--trainer.max_steps", str(STEPS), "--trainer.val_check_interval", "20",
                         "--trainer.log_every_n_steps", "20")  # fmt: skip
    curves = scalars(folder)
    measured = ("val/", "codebook/usage", "epoch")
    trained = {name: curve for name, curve in curves.items() if not name.startswith(measured)}
    assert {"loss", "lr", "gradient_norm"} <= set(trained)
    for name, curve in trained.items():
        assert len(curve) >= 10, name
    if part == "tokenizer":  # its loss is the mean of a batch, the transformer's a sum
        assert curves["loss"] == pytest.approx({step: losses[step] for step in curves["loss"]}, rel=1e-5)
    assert list(curves["loss"])[:20] == list(range(20)) and max(curves["loss"]) == STEPS - 1
    assert set(curves["val/loss"]) == {20, 40}
    assert f"100%  step {STEPS}  0:00 left  loss" in capsys.readouterr().out


def test_short_epochs_are_logged_too(fit):
    """Three batches an epoch, fewer than steps between two logged ones."""
    folder, _ = fit("tokenizer", "--trainer.max_steps", "24", "--trainer.limit_train_batches", "3",
                    "--trainer.val_check_interval", "3", "--trainer.limit_val_batches", "1")  # fmt: skip
    assert len(scalars(folder)["loss/pixels"]) >= 20


def test_the_best_weights_are_exported_where_validations_became_worse(fit, capsys):
    """A rate so high that the second half of the run destroys what the first learned."""
    folder, _ = fit("tokenizer", "--trainer.max_steps", "20", "--trainer.val_check_interval", "4",
                    "--model.optimizer", "{schedule: constant, warmup_steps: 0}")  # fmt: skip
    values = scalars(folder)["val/loss"]
    best = min(values, key=values.get)
    said = f"image_tokenizer/ has the weights of step {best:,}"
    assert (said in capsys.readouterr().out) == (values[20] > 1.01 * values[best])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_a_checkpoint_and_a_model(tmp_path, number):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "unitok", "train-tokenizer", "fit", "--config", "configs/tokenizer/tiny.yaml",
         "--threads", "1", "--trainer.max_steps", "100000", "--trainer.default_root_dir", str(folder),
         "--data.train.init_args.count", "64", "--data.val.init_args.count", "8"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(folder.glob("logs/events*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(2)
    process.send_signal(number)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number, out
    assert (folder / "last.ckpt").is_file() and "resumes from here" in out
    assert ImageTokenizer.from_pretrained(folder / "image_tokenizer").codebook_size
