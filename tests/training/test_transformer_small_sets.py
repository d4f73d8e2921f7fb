"""Tiny data sets with corrupt samples: a run learns from the rest, or says why it cannot."""

import json
from pathlib import Path

import pytest

from tests.cases import rare
from tests.commands import ROOT
from tests.data.samples import png
from train.tokenizer import main as train_tokenizer
from train.transformer import main as train_transformer

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*args parameter is intended", "ignore:The number of training"
)


@pytest.fixture
def train(monkeypatch, tmp_path, image_tokenizer, capsys):
    """Trains a part on a set in tmp_path/set by its tiny config; the folder, or what an error says."""
    monkeypatch.chdir(ROOT)

    def fit(part: str, *more: str) -> Path | str:
        main, own = train_tokenizer, ()
        if part == "transformer":
            main, own = train_transformer, ("--data.codec.image_tokenizer", str(image_tokenizer))
        run = tmp_path / "run" / part
        try:
            main([
                "fit", "--config", f"configs/{part}/tiny.yaml", "--threads", "1", "--data.path",
                str(tmp_path / "set"), "--trainer.default_root_dir", str(run),
                "--trainer.enable_progress_bar", "false", "--trainer.callbacks", "null",
                "--data.batch_size", "4", "--trainer.max_steps", "8", "--trainer.val_check_interval", "4",
                *own, *more,
            ])  # fmt: skip
        except SystemExit as stop:
            assert stop.code == 2
            assert not list(run.glob("*.ckpt")) and not list(run.glob("*/model.safetensors"))
            return capsys.readouterr().err.splitlines()[-1]
        return run

    return fit


def write(folder: Path, whole: int, faulty: int = 0) -> None:
    """Pairs, of which the last are HTML instead of images."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(whole + faulty):
        content = png("red", (48, 48)) if number < whole else b"<!doctype html>"
        (folder / f"{number:03d}.png").write_bytes(content)
        (folder / f"{number:03d}.txt").write_text(f"sample {number}")


PARTS = pytest.mark.parametrize("part", ["tokenizer", "transformer"])


@PARTS
@pytest.mark.parametrize("options", [(), ("--data.most_faults", "1"), ("--data.workers", "2")])
def test_a_set_of_which_nothing_can_be_read_trains_nothing(train, tmp_path, part, options):
    write(tmp_path / "set", 0, 6)
    assert "not a picture" in train(part, *options)


def test_nothing_to_learn_ends_a_run_that_is_shorter_than_an_epoch(train, tmp_path):
    write(tmp_path / "set/train", 0, 200)
    write(tmp_path / "set/val", 3)
    (tmp_path / "set/train/100.png").write_bytes(png())  # the text tokenizer reads them all
    assert "no target to learn" in train("transformer", "--trainer.max_steps", "5")


@PARTS
def test_a_validation_of_nothing_has_no_figure(train, tmp_path, part):
    write(tmp_path / "set/train", 20)
    write(tmp_path / "set/val", 0, 3)
    assert "data.val: no" in train(part, "--data.most_faults", "1")


@PARTS
@pytest.mark.parametrize("workers", ["0", rare("2")])
def test_more_faults_than_are_put_up_with_end_a_small_set_too(train, tmp_path, part, workers):
    write(tmp_path / "set/train", 8, 4)
    write(tmp_path / "set/val", 2)
    more = ("--data.workers", workers)
    assert "4 of 12 samples are corrupt, more than 10%" in train(part, *more)
    run = train(part, *more, "--data.most_faults", "0.5")
    assert json.loads((run / "data_report.json").read_text())["faults"] == 4


@PARTS
@pytest.mark.parametrize("count", [1, 2, rare(3)])
def test_a_sample_or_two_can_be_learned_by_heart(train, tmp_path, part, count):
    write(tmp_path / "set", count)
    assert (train(part) / "best.ckpt").is_file()


@PARTS
def test_a_validation_interval_may_be_longer_than_an_epoch(train, tmp_path, part):
    write(tmp_path / "set", 5)
    assert (
        train(part, "--trainer.max_steps", "6", "--trainer.val_check_interval", "5") / "last.ckpt"
    ).is_file()


def test_batches_of_faulty_images_cost_themselves_alone(train, tmp_path):
    write(tmp_path / "set/train", 12, 12)
    write(tmp_path / "set/val", 2, 1)
    lenient = ("--data.most_faults", "0.6", "--data.preload", "false", "--data.batch_size", "1")
    run = train("tokenizer", *lenient, "--trainer.max_steps", "20")
    assert (run / "image_tokenizer/model.safetensors").is_file()
