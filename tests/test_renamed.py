"""Settings of earlier versions: one line names today's, wherever they are given."""

import pytest
import yaml
from jsonargparse import ArgumentParser

from tests.commands import ROOT
from train.tokenizer import main as train_tokenizer
from train.transformer import main as train_transformer
from unitok.data.document_data import DocumentData
from unitok.data.image_data import ImageData
from unitok.renamed import NAMES, SETTINGS, check_settings, renamed_setting
from unitok.training.tokenizer import TokenizerTraining
from unitok.training.transformer import TransformerTraining

pytestmark = pytest.mark.filterwarnings("ignore:.*args parameter is intended")
MAINS = {"transformer": train_transformer, "tokenizer": train_tokenizer}


def settings(model: type, data: type) -> set[str]:
    parser = ArgumentParser()
    parser.add_class_arguments(model, "model")
    parser.add_class_arguments(data, "data")
    return {action.dest for action in parser._actions}


@pytest.fixture(scope="module")
def known() -> set[str]:
    return settings(TransformerTraining, DocumentData) | settings(TokenizerTraining, ImageData)


@pytest.mark.parametrize("old", SETTINGS)
def test_every_old_setting_has_a_new_one_that_exists(known, old):
    new = SETTINGS[old]
    assert old not in known and renamed_setting(new) is None
    assert new in known or new.rpartition(".")[0] in known, new
    assert renamed_setting(f"{old}.inner") in (f"{new}.inner", SETTINGS.get(f"{old}.inner"))


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_that_became_a_group_is_its_name(known, name):
    assert f"{name}.name" in known
    assert renamed_setting(name, "muon") == f"{name}.name"
    for other in ((name, "group.yaml"), (name,), (f"{name}.name", "muon")):
        assert renamed_setting(*other) is None


def refused(capsys, part: str, *args: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        MAINS[part](["fit", "--config", str(ROOT / f"configs/{part}/tiny.yaml"), *args])
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("part", "flags", "message"),
    [
        ("transformer", ["--model.lr", "1"], "--model.lr is now --model.optimizer.lr"),
        ("transformer", ["--model.optimizer=adamw"], "--model.optimizer is now --model.optimizer.name"),
        ("transformer", ["--model.model.width=64"], "--model.model.width is now --model.sizes.width"),
        ("transformer", ["--model.hide_text=.1"], "is now --model.loss.token_dropout.text"),
        ("transformer", ["--data.chat.user_mark", "u:"], "is now --data.transforms.chat.user_mark"),
        ("transformer", ["--data.task", "draw"], "--data.task is now --data.task.name"),
        ("tokenizer", ["--model.model.quantizer.size", "9"], "is now --model.quantizer.size"),
        ("tokenizer", ["--model.terms+", "SSIM"], "--model.terms is now --model.loss.terms"),
    ],
)
def test_an_old_flag_is_answered_by_the_new_one(capsys, part, flags, message):
    assert message in refused(capsys, part, *flags)


@pytest.mark.parametrize("wrap", [lambda values: values, lambda values: {"fit": values}])
def test_a_config_with_old_settings_is_answered_by_one_line_with_all_new_ones(capsys, tmp_path, wrap):
    model = {"model": {"width": 64}, "lr": 1e-3, "optimizer": "adamw", "ema_decay": 0.9}
    (tmp_path / "old.yaml").write_text(yaml.safe_dump(wrap({"model": model, "data": {"task": "draw"}})))
    said = refused(capsys, "transformer", "--config", str(tmp_path / "old.yaml"))
    assert "old.yaml: " in said and "ema_decay" not in said
    for change in ("model.model is now model.sizes", "model.lr is now model.optimizer.lr",
                   "model.optimizer is now model.optimizer.name",
                   "data.task is now data.task.name"):  # fmt: skip
        assert change in said


def test_todays_configs_have_no_old_settings():
    for path in sorted((ROOT / "configs").rglob("*.yaml")):
        check_settings(yaml.safe_load(path.read_text(encoding="utf-8")), place=f"{path}: ")
