"""Data settings on one command line: the last one wins, a path replaces sources and vice versa."""

from pathlib import Path

import pytest
import yaml

from tests.commands import ROOT
from tests.data.samples import write_images
from train.tokenizer import main as train_tokenizer
from train.transformer import main as train_transformer
from unitok.cli.data_overrides import flags, resolve_data_overrides

pytestmark = pytest.mark.filterwarnings("ignore:.*args parameter is intended")
KNOWN = ("path", "train", "val", "format", "test", "size")
PATH, SOURCES = {"path": "P"}, {"train": "T", "val": "V"}

PROGRAMS = {"tokenizer": "unitok train-tokenizer", "transformer": "unitok train-model"}


def config(folder, name: str, data: dict) -> str:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"data": data}))
    return str(file)


def outcome(args: list[str]) -> dict[str, object]:
    """The data that a parser ends with, which merges settings one by one."""
    found: dict[str, object] = {}
    given = iter(resolve_data_overrides(["fit", *args], KNOWN)[1:])
    for token in given:
        name, _, value = token.partition("=")
        value = value or next(given)
        if name in ("--config", "-c"):
            text = Path(value).read_text() if value.endswith(".yaml") else value
            found |= yaml.safe_load(text).get("data", {})
        else:
            found[name.removeprefix("--data.")] = None if value == "null" else value
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("flag", [["--data.path", "P"], ["--data.path=P"]])
@pytest.mark.parametrize(
    "base", [SOURCES, {"train": "T"}, {"val": "V"}, SOURCES | {"test": "X"}, {"path": "Q"}]
)
def test_a_path_on_the_command_line_is_all_data_there_is(tmp_path, flag, base):
    given = ["--config", config(tmp_path, "base", base)]
    assert outcome([*given, *flag]) == PATH
    assert outcome([*flag, *given]) in (PATH, {"path": "Q"})


def test_the_later_config_counts(tmp_path):
    path, sources = (config(tmp_path, name, data) for name, data in (("p", PATH), ("s", SOURCES)))
    assert outcome(["--config", sources, "-c", path]) == PATH
    assert outcome(["--config", path, "--config", sources]) == SOURCES
    assert outcome([f"--config={sources}", f"--config={path}", f"--config={sources}"]) == SOURCES
    assert outcome(["--config", sources, "--config", "{data: {path: Q}}"]) == {"path": "Q"}
    assert outcome(["--config", sources, "--config", "{data: {size: 3}}"]) == SOURCES | {"size": 3}
    assert outcome(["--config", sources, "--config", "{data: {path: null}}"]) == SOURCES


def test_sources_on_the_command_line_take_the_place_of_a_path(tmp_path):
    base = config(tmp_path, "base", PATH | {"format": "table"})
    assert outcome(["--config", base, "--data.train", "T", "--data.val", "V"]) == SOURCES
    assert outcome(["--config", base, "--data.format", "idx"]) == PATH | {"format": "idx"}
    changed = ["--config", config(tmp_path, "more", SOURCES), "--data.train", "U"]
    assert outcome(changed) == SOURCES | {"train": "U"}


@pytest.mark.parametrize(
    "own", [["--data.train", "T"], ["--data.val=V"], ["--data.train.init_args.count", "3"]]
)
def test_a_path_and_sources_on_one_command_line_are_refused(own):
    with pytest.raises(ValueError, match=r"give --data\.path, or --data\.train and --data\.val, not both"):
        resolve_data_overrides(["fit", "--data.path", "P", *own], KNOWN)
    assert outcome(["--data.train", "null", "--data.val", "null", "--data.path", "P"]) == PATH


def test_what_is_before_the_subcommand_reaches_it(tmp_path):
    file = tmp_path / "whole.yaml"
    file.write_text(yaml.safe_dump({"fit": {"data": PATH}}))
    args = ["--config", str(file), "fit", "--data.size", "3"]
    assert resolve_data_overrides(args, KNOWN)[:3] == args[:3]
    assert resolve_data_overrides(args, KNOWN)[3:] == [
        "--data.train",
        "null",
        "--data.val",
        "null",
        "--data.test",
        "null",
        *args[3:],
    ]


def test_flags_have_names():
    given = flags(["fit", "--a.b=1", "--c", "-1", "--list+", "x", "--end"])
    assert given == {"a.b": "1", "c": "-1", "list": "x", "end": ""}


@pytest.mark.parametrize(
    ("part", "main"), [("tokenizer", train_tokenizer), ("transformer", train_transformer)]
)
def test_a_path_that_is_not_there_is_named_whatever_the_config_has(part, main, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    fit = ["fit", "--config", f"configs/{part}/tiny.yaml", "--trainer.default_root_dir", str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        main([*fit, "--data.path", "/does/not/exist"])
    said = capsys.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2 and said.endswith(f"{PROGRAMS[part]}: error: /does/not/exist: not found")
    with pytest.raises(SystemExit) as stop:
        main([*fit, "--data.path", str(tmp_path), "--data.train", "elsewhere"])
    assert stop.value.code == 2 and "not both" in capsys.readouterr().err


def test_a_flag_that_does_nothing_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    write_images(tmp_path / "set", *(f"#0000{i:02d}" for i in range(4)))
    train_tokenizer([
        "fit", "--config", "configs/tokenizer/tiny.yaml", "--threads", "1",
        "--model.optimizer.muon_lr", "0.1", "--data.path", str(tmp_path / "set"),
        "--trainer.default_root_dir", str(tmp_path / "run"), "--trainer.enable_progress_bar", "false",
        "--trainer.max_steps", "1", "--trainer.val_check_interval", "1", "--model.optimizer.name", "adamw",
    ])  # fmt: skip
    assert "--model.optimizer.muon_lr has no effect: model.optimizer.name is adamw" in capsys.readouterr().out
