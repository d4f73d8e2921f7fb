"""A run that starts from another model tells what it forgets of it."""

import shutil
from pathlib import Path

import pytest
import torch

from train.transformer import main
from unitok.models.transformer import TransformerSizes
from unitok.training.run.scalars import read_scalars
from unitok.training.transformer import TransformerTraining
from unitok.training.verdicts import RISEN

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")
CONFIG = Path(__file__).parents[3] / "configs/transformer/tiny.yaml"
LOSSES = ("origin/loss/text", "origin/loss/image")


@pytest.fixture(scope="module")
def fit(image_tokenizer, tmp_path_factory):
    """Runs the tiny config into a folder of these tests; returns the folder."""
    runs = tmp_path_factory.mktemp("runs")

    def run(folder: str, *more: str, steps: int) -> Path:
        main([
            "fit", "--config", str(CONFIG), "--threads", "1", "--trainer.max_steps", str(steps),
            "--trainer.val_check_interval", "2", "--trainer.log_every_n_steps", "1",
            "--trainer.enable_progress_bar", "false", "--trainer.default_root_dir", str(runs / folder),
            "--data.codec.image_tokenizer", str(image_tokenizer), *more,
        ])  # fmt: skip
        return runs / folder

    return run


@pytest.fixture(scope="module")
def origin(fit) -> Path:
    return fit("origin", "--trainer.val_check_interval", "30", steps=30)


@pytest.fixture
def own_texts(tmp_path) -> tuple[str, ...]:
    """Settings of a run on texts of its own."""
    (tmp_path / "texts.txt").write_text("\n\n".join(f"{i} green bottles" for i in range(60)))
    return ("--data.train", "null", "--data.val", "null", "--data.path", str(tmp_path / "texts.txt"),
            "--model.optimizer.lr", "0.05", "--model.optimizer.schedule", "constant")  # fmt: skip


def test_the_origins_loss_is_told_before_during_and_after(fit, origin, own_texts, capsys):
    start = ("--model.start.init_from", str(origin / "model"))
    whole = fit("whole", *start, *own_texts, steps=4)
    said = [line for line in capsys.readouterr().out.splitlines() if "origin" in line]
    assert said[0] == "origin: 16 documents of ShapesSource tell what the run forgets"
    assert said[1].startswith("origin: loss/text ") and "at most 5% of the time" in said[1]
    assert "it forgets; mix its data in" in said[2]
    curves = [read_scalars(whole / "logs", name) for name in LOSSES]
    assert all({0, 2, 4} >= curve.keys() >= {0, 4} for curve in curves)
    told = [f"from {curve[0]:.3f} to {curve[4]:.3f}" in said[2] for curve in curves]
    assert told == [curve[4] - curve[0] > RISEN for curve in curves] and any(told)

    fit("parts", *start, *own_texts, steps=2)
    capsys.readouterr()
    fit("parts", *start, *own_texts, "--ckpt_path", "last", steps=4)
    (again,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("the origin's")]
    assert again.split(":")[0] == said[2].split(":")[0], "a resumed run compares with its first start"
    weights = [torch.load(run / "last.ckpt")["state_dict"] for run in (whole, whole.parent / "parts")]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


def test_a_suite_of_the_origin_is_measured_before_and_after(fit, origin, own_texts, monkeypatch, capsys):
    monkeypatch.setattr("unitok.training.run.forgetting.SAMPLE", 2)
    start = ("--model.start.init_from", str(origin / "model"), "--model.start.origin_suite", "shapes")
    run = fit("judged", *start, *own_texts, steps=2)
    assert read_scalars(run / "logs", "origin/heldout_image_accuracy").keys() == {0, 2}
    assert "heldout_image_accuracy" in capsys.readouterr().out.splitlines()[-1]


def test_a_model_without_its_run_is_tuned_without_a_measure_and_says_so(
    fit, origin, own_texts, tmp_path, capsys
):
    shutil.copytree(origin / "model", tmp_path / "moved/model")
    start = ("--model.start.init_from", str(tmp_path / "moved/model"))
    run = fit("moved", *start, *own_texts, steps=2)
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "origin" in line]
    assert said.startswith("origin: its loss is not measured: ") and "--model.start.origin_data" in said
    assert read_scalars(run / "logs", LOSSES[0]) == {}


@pytest.mark.parametrize(
    "named", [("data", "nowhere"), ("suite", "shape"), ("suite", "pairs")], ids=lambda named: named[1]
)
def test_data_and_suites_that_are_named_in_vain_stop_the_run(fit, origin, own_texts, capsys, named):
    setting, value = named
    start = ("--model.start.init_from", str(origin / "model"), f"--model.start.origin_{setting}", value)
    with pytest.raises(SystemExit):
        fit("vain", *start, *own_texts, steps=2)
    assert value in capsys.readouterr().err


def test_a_run_from_scratch_measures_nothing():
    assert TransformerTraining(TransformerSizes()).configure_callbacks() == []
