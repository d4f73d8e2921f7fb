"""A model of any checkpoint of a run."""

import pytest

from tests.commands import ROOT
from tests.training.conftest import image_tokenizer  # noqa: F401 (a fixture)
from train.transformer import main as train_transformer
from unitok.api.model_folder import read_tasks
from unitok.cli.commands.export import main as export
from unitok.models.weights import read_weights

pytestmark = pytest.mark.filterwarnings("ignore:.*args parameter is intended")


def test_the_last_and_the_best_checkpoint_become_models(monkeypatch, tmp_path, image_tokenizer, capsys):  # noqa: F811
    monkeypatch.chdir(ROOT)
    run = tmp_path / "run"
    train_transformer([
        "fit", "--config", "configs/transformer/tiny.yaml", "--threads", "1", "--trainer.callbacks", "null",
        "--trainer.default_root_dir", str(run), "--data.codec.image_tokenizer", str(image_tokenizer),
        "--trainer.max_steps", "4", "--trainer.val_check_interval", "2",
        "--trainer.enable_progress_bar", "false", "--data.train.init_args.count", "40",
    ])  # fmt: skip
    for name, given in (("last", [str(run)]), ("best", [str(run), "--checkpoint", "best"]),
                        ("file", [str(run / "best.ckpt")])):  # fmt: skip
        export([given[0], str(tmp_path / name), *given[1:]])
        assert f"{tmp_path / name}: the weights of {run}/" in capsys.readouterr().out
    exported, last = (
        read_weights(folder / "model.safetensors") for folder in (run / "model", tmp_path / "last")
    )
    assert [task.name for task in read_tasks(run / "model")] == ["captions", "drawings"]
    assert read_tasks(tmp_path / "last") == read_tasks(run / "model")
    assert all((last[key] == value).all() for key, value in exported.items())
    assert (tmp_path / "last/tokenizer.json").read_bytes() == (run / "model/tokenizer.json").read_bytes()
    best, file = (tmp_path / name / "model.safetensors" for name in ("best", "file"))
    assert best.read_bytes() == file.read_bytes()


def test_a_run_without_the_checkpoint_says_so(tmp_path, capsys):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/config.yaml").write_text("model: {}\ntrainer: {}\n")
    with pytest.raises(SystemExit):
        export([str(tmp_path), str(tmp_path / "out")])
    assert f"{tmp_path}/last.ckpt: not found: a run writes it" in capsys.readouterr().err
