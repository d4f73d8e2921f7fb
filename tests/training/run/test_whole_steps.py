"""Steps of several batches: no checkpoint inside one, and the moving average belongs to the step."""

import math
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Callback, Trainer

from tests.cases import rare
from train.transformer import main
from unitok.training.run.checkpoint import LAST
from unitok.training.run.whole_steps import check_validations
from unitok.training.transformer import TransformerTraining

CONFIG = Path(__file__).parents[3] / "configs/transformer/tiny.yaml"
pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")


class At(Callback):
    """Acts at the beginning of a batch."""

    def __init__(self, number: int, act):
        self.number, self.act = number, act

    def on_train_batch_start(self, trainer, *rest):
        if trainer.fit_loop.epoch_loop.total_batch_idx == self.number:
            self.act(trainer)


@pytest.fixture
def train(monkeypatch, image_tokenizer, tmp_path):
    """Runs the tiny config into a folder, with steps of several batches; returns its module."""

    def fit(folder, *more, accumulate=2, callbacks=()):
        monkeypatch.setattr(TransformerTraining, "configure_callbacks", lambda self: list(callbacks))
        cli = main([
            "fit", "--config", str(CONFIG), "--threads", "1",
            "--data.codec.image_tokenizer", str(image_tokenizer), "--trainer.max_steps", "4",
            "--trainer.accumulate_grad_batches", str(accumulate), "--trainer.val_check_interval", "4",
            "--trainer.limit_val_batches", "1", "--model.optimizer.schedule", "constant",
            "--data.train.init_args.count", "104", "--data.val.init_args.count", "8",
            "--trainer.enable_progress_bar", "false", "--trainer.default_root_dir",
            str(tmp_path / folder), *more,
        ])  # fmt: skip
        return cli.model

    return fit


def interrupt(trainer) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("accumulate", "batch"), [(2, 3), rare(2, 2), rare(1, 2)])
def test_an_interrupted_run_ends_with_the_average_of_one_that_was_not(train, tmp_path, accumulate, batch):
    options = ("--model.ema_decay", "0.5", "--trainer.val_check_interval", "4")
    whole = train("whole", *options, accumulate=accumulate)
    with pytest.raises(SystemExit):
        train("parts", *options, accumulate=accumulate, callbacks=[At(batch, interrupt)])
    saved = torch.load(tmp_path / "parts" / LAST, weights_only=True)
    step = saved["global_step"]
    assert step == batch // accumulate + 1 and saved["state_dict"]["averaged.n_averaged"] == step
    parts = train("parts", *options, "--ckpt_path", "last", accumulate=accumulate)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, parts.state_dict()[name]), name


def test_a_run_that_is_to_stop_ends_its_step_first(train, tmp_path):
    def stop(trainer):
        trainer.should_stop = True

    train("stopped", "--trainer.val_check_interval", "3", accumulate=3, callbacks=[At(4, stop)])
    saved = torch.load(tmp_path / "stopped" / LAST, weights_only=True)
    batches = saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["ready"]
    assert (saved["global_step"], batches) == (2, 6)


@pytest.mark.parametrize("interval", ["3", "0.3", "00:00:00:01"])
def test_a_validation_inside_a_step_is_refused_at_the_start(train, capsys, interval):
    with pytest.raises(SystemExit) as stopped:
        train("refused", "--trainer.val_check_interval", interval)
    assert stopped.value.code == 2
    assert "trainer.accumulate_grad_batches=2:" in capsys.readouterr().err


def trainer(epoch, every, accumulate, *, through_epochs=False, epochs=None, steps=-1):
    run = Mock(spec=Trainer, num_training_batches=epoch, val_check_batch=every, enable_validation=True)
    run.max_epochs, run.max_steps, run.val_check_interval = epochs, steps, every
    run.check_val_every_n_epoch = None if through_epochs else 1
    run.lightning_module = SimpleNamespace(accumulate=accumulate)
    return run


def is_refused(run) -> bool:
    try:
        check_validations(run, setting="accumulate")
    except ValueError:
        return True
    return False


sizes = st.integers(1, 12)


@given(sizes, sizes, sizes, st.booleans(), st.integers(1, 4))
def test_what_is_refused_are_the_validations_that_fall_inside_a_step(
    epoch, every, accumulate, through, epochs
):
    inside, waiting = False, 0
    for number in range(1, epochs * epoch + 1):
        within = (number - 1) % epoch + 1
        waiting = 0 if within % accumulate == 0 or within == epoch else waiting + 1
        inside |= waiting > 0 and (number if through else within) % every == 0
    run = trainer(epoch, every, accumulate, through_epochs=through, epochs=epochs)
    assert is_refused(run) == inside


def test_a_run_without_an_end_is_looked_through_until_it_repeats_itself():
    assert is_refused(trainer(9, 8, 2, through_epochs=True))
    assert not is_refused(trainer(8, 4, 2, through_epochs=True))
    assert not is_refused(trainer(9, 8, 2, through_epochs=True, steps=4))
    assert is_refused(trainer(math.inf, 3, 2)) and not is_refused(trainer(math.inf, math.inf, 2))
