"""Checkpoints of other runs and unusable settings give one line; a new run starts from scratch."""

import json
import subprocess
import sys

import pytest

from tests.commands import ROOT
from tests.data.samples import png
from train.tokenizer import main as train_tokenizer
from train.transformer import main as train_transformer

pytestmark = pytest.mark.filterwarnings("ignore:.*args parameter is intended", "ignore:The number of")


@pytest.fixture
def train(monkeypatch, tmp_path, image_tokenizer, capsys):
    """Trains a part by its tiny config for 4 steps; what was printed."""
    monkeypatch.chdir(ROOT)

    def fit(part: str, *more: str, command: str = "fit") -> str:
        main, own = train_tokenizer, ("--data.train.init_args.count", "32", "--data.val.init_args.count", "8")
        if part == "transformer":
            main, own = train_transformer, (*own, "--data.codec.image_tokenizer", str(image_tokenizer))
        if "--data.path" in more:
            own = own[4:]
        try:
            main([
                command, "--config", f"configs/{part}/tiny.yaml", "--threads", "1",
                "--trainer.default_root_dir", str(tmp_path / part), "--trainer.max_steps", "4",
                "--trainer.enable_progress_bar", "false", "--trainer.callbacks", "null",
                "--trainer.val_check_interval", "2", *own, *more,
            ])  # fmt: skip
        except SystemExit as stop:
            assert stop.code == 2
            return capsys.readouterr().err.splitlines()[-1]
        return capsys.readouterr().out

    return fit


def test_a_checkpoint_of_another_run_is_told_in_one_line(train, tmp_path):
    train("tokenizer"), train("transformer")
    tokenizer, own = tmp_path / "tokenizer/last.ckpt", tmp_path / "transformer/last.ckpt"
    said = train("transformer", "--ckpt_path", str(tokenizer))
    assert (
        f"{tokenizer}: expected a checkpoint of unitok train-model, got one of unitok train-tokenizer" in said
    )
    assert "got one of unitok train-model" in train("tokenizer", "--ckpt_path", str(own))
    for changed, named in (
        (("--model.sizes.hidden", "96"), "give the settings of the checkpoint's run"),
        (("--model.sizes.layers", "3"), "layers must be 3, got 2"),
        (("--model.sizes.width", "64", "--model.sizes.head_width", "32"), "width must be 64, got 32"),
        (("--model.ema_decay", "0.9"), "of this run is missing"),
        (("--data.codec.text_size", "270", "--data.codec.text_tokenizer", "null"), None),
    ):
        said = train("transformer", "--ckpt_path", "last", *changed)
        assert named is None or f"{own}: " in said, said
        assert named is None or named in said
    assert "layers must be" not in train("transformer", "--ckpt_path", "best", command="validate")
    done = train("transformer", "--ckpt_path", "last")
    assert "the run is complete at step 4 of 4: raise --trainer.max_steps" in done
    assert "complete" not in train("transformer", "--ckpt_path", "best", "--trainer.max_steps", "5")


def test_best_is_named_where_it_is_not_there(train):
    assert "best.ckpt: not found" in train("tokenizer", "--ckpt_path", "best")


@pytest.mark.parametrize("precision", ["16-true", "bf16-true", "64-true", "64"])
def test_precisions_in_which_nothing_is_trained_are_refused(train, precision):
    said = train("tokenizer", "--trainer.accelerator", "cpu", "--trainer.precision", precision)
    assert "trainer.precision must be" in said and f"got {precision}" in said


@pytest.mark.parametrize("part", ["tokenizer", "transformer"])
def test_one_batch_can_be_learned_by_heart(train, tmp_path, part):
    said = train(part, "--trainer.overfit_batches", "1", "--trainer.val_check_interval", "1.0")
    assert "error" not in said and (tmp_path / part / "last.ckpt").is_file()


def test_a_run_that_begins_anew_has_its_own_text_tokenizer(train, tmp_path):
    for name, word in (("a", "zebra"), ("b", "quokka")):
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"{number}.png").write_bytes(png("red", (48, 48)))
            (tmp_path / name / f"{number}.txt").write_text(f"{word} {word} {word}")
    kept = tmp_path / "transformer/tokenizer.json"

    def words(*args: str) -> set[str]:
        train("transformer", *args)
        return set(json.loads(kept.read_text())["model"]["vocab"])

    assert "zebra" in "".join(words("--data.path", str(tmp_path / "a")))
    anew = words("--data.path", str(tmp_path / "b"))
    assert "quokka" in "".join(anew) and "zebra" not in "".join(anew)
    longer = ("--ckpt_path", "last", "--trainer.max_steps", "6")
    assert words("--data.path", str(tmp_path / "a"), *longer) == anew


def test_the_settings_of_a_run_stay_where_another_is_refused_or_measured(train, tmp_path):
    train("tokenizer")
    kept = tmp_path / "tokenizer/logs/config.yaml"
    before = kept.read_bytes()
    assert "give the settings of the checkpoint's run" in train(
        "tokenizer", "--ckpt_path", "last", "--model.quantizer.size", "128"
    )
    train("tokenizer", "--ckpt_path", "last", command="validate")
    assert kept.read_bytes() == before
    again = train("tokenizer", "--config", str(kept), "--trainer.max_steps", "2")
    assert "error" not in again and kept.read_bytes() != before


def test_what_was_not_trained_is_not_measured(train):
    said = train("tokenizer", command="validate")
    assert "give --ckpt_path best, last or a file: without one the weights are random" in said


def test_a_new_run_replaces_no_checkpoint_of_the_other_part(train, tmp_path):
    train("tokenizer")
    last = tmp_path / "tokenizer/last.ckpt"
    before = last.read_bytes()
    said = train("transformer", "--trainer.default_root_dir", str(tmp_path / "tokenizer"))
    assert f"{last}: a checkpoint of unitok train-tokenizer, which would be lost" in said
    assert last.read_bytes() == before
    assert "would be lost" not in train("tokenizer")


def test_two_runs_at_once_need_two_folders(train, tmp_path):
    (tmp_path / "tokenizer").mkdir()
    holds = (
        "import sys; from unitok.atomic_files import lock_folder\n"
        "with lock_folder(sys.argv[1]): print(1, flush=True); input()"
    )
    command = [sys.executable, "-c", holds, str(tmp_path / "tokenizer")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert "another run is writing here" in train("tokenizer")
        other.communicate(b"\n")
    assert "another run" not in train("tokenizer")
    assert not (tmp_path / "tokenizer/.in_use").exists()


def test_a_run_of_no_step_says_what_to_raise(train):
    assert "complete at step 0 of 0: raise --trainer.max_steps" in train(
        "tokenizer", "--trainer.max_steps", "0"
    )
