"""The line that tells how a run stands."""

import io
import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from lightning.pytorch import LightningModule, Trainer

from unitok.training.run.budget import Budget
from unitok.training.run.progress_line import MAX_WIDTH, ProgressLine, describe_figure, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(stream: io.StringIO, *, steps: int, seconds: float, pause: float) -> ProgressLine:
    """Shows a run of some steps, each of which logs its loss, with a stand-in for the trainer."""
    epoch_loop = SimpleNamespace(_batches_that_stepped=0)
    trainer = Mock(
        spec=Trainer, global_step=0, max_steps=steps, callbacks=[], log_every_n_steps=1,
        progress_bar_metrics={}, fit_loop=SimpleNamespace(epoch_loop=epoch_loop),
    )  # fmt: skip
    module = Mock(spec=LightningModule)
    line = ProgressLine(seconds, stream)
    line.on_train_start(trainer, module)
    for step in range(steps):
        time.sleep(pause)
        trainer.global_step = epoch_loop._batches_that_stepped = step + 1
        trainer.progress_bar_metrics = {"loss": 4.0 - step / steps, "tokens_per_second": 9812.3}
        line.on_train_batch_end(trainer, module)
    line.on_train_end(trainer, module)
    return line


def test_without_a_terminal_a_line_is_written_every_few_seconds():
    stream = io.StringIO()
    run(stream, steps=6, seconds=0.1, pause=0.1)
    lines = stream.getvalue().splitlines()
    assert len(lines) >= 3 and all(len(line) <= MAX_WIDTH for line in lines)
    assert lines[-1].startswith("100%  step 6  0:00 left  loss 3.") and "9,812 tokens/s" in lines[-1]


def test_a_terminal_shows_one_line_and_keeps_the_last():
    stream = Terminal()
    run(stream, steps=4, seconds=0.1, pause=0.4)
    shown = stream.getvalue()
    assert "\r\x1b[K" in shown and shown.count("\n") == 1 and shown.endswith("tokens/s\n")


def test_a_slow_first_step_is_told_too():
    stream = io.StringIO()
    run(stream, steps=1, seconds=0.1, pause=0.5)
    assert stream.getvalue().splitlines()[0] == "first step"


def test_the_time_left_does_not_count_compiling():
    line, module = ProgressLine(0.05, io.StringIO()), Mock(spec=LightningModule, compiled=True)
    budget = Budget("00:00:00:20")
    trainer = Mock(
        spec=Trainer, global_step=0, max_steps=-1, max_epochs=-1, callbacks=[line, budget],
        progress_bar_metrics={}, should_stop=False, log_every_n_steps=1,
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(_batches_that_stepped=0)),
    )  # fmt: skip
    trainer.strategy.broadcast.side_effect = lambda flag: flag
    for callback in trainer.callbacks:
        callback.on_train_start(trainer, module)
    for seconds in (0.9, 0.1, 0.2, 0.6):
        time.sleep(seconds)
        for callback in trainer.callbacks:
            callback.on_train_batch_end(trainer, module)
    line.on_train_end(trainer, module)
    shown = line.stream.getvalue().splitlines()
    assert shown[0] == "compiling (about 60 s, not counted)"
    assert "0:19 left" in shown[-1] or "0:18 left" in shown[-1], shown[-1]
    assert next(text for text in shown if "%" in text) == "  1%  step 0"


def test_a_message_clears_the_line_before_it():
    stream = Terminal()
    line = ProgressLine(stream=stream)
    line.place = "50%"
    line._write()
    line.print("a message")
    assert stream.getvalue() == "50%\r\x1b[Ka message\n"


def test_figures_that_do_not_fit_are_left_out():
    line = ProgressLine(stream=io.StringIO())
    line.place = " 12%  step 340  2:10 left"
    line.activity = "validating"
    line.figures = {f"loss/modality_{number}": 1.23456 for number in range(20)}
    shown = line.line()
    assert len(shown) <= MAX_WIDTH and shown.startswith(line.place) and shown.endswith("validating")
    assert "modality_0 1.23" in shown


def test_a_measured_figure_is_not_smoothed():
    line = ProgressLine(stream=io.StringIO())
    for value in (4.0, 2.0):
        line._smooth({"loss": value, "val/loss": value})
    assert line.figures == {"loss": pytest.approx(3.8), "val/loss": 2.0}


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("tokens_per_second", 9812.3, "9,812 tokens/s"),
        ("val/psnr", 25.123, "25.1 dB"),
        ("loss/text", 1.20433, "text 1.2"),
        ("origin/loss/image", 1.6433, "origin/image 1.64"),
        ("codebook/usage", 0.8333, "usage 0.833"),
        ("loss", 123456.0, "loss 1.2e+05"),
    ],
)
def test_figures_have_units(name, value, shown):
    assert describe_figure(name, value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(7, "0:07"), (725.4, "12:05"), (10920, "3:02:00")])
def test_durations(seconds, shown):
    assert duration(seconds) == shown
