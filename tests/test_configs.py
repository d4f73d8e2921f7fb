"""Every config names the command that runs it, and that command's own parser takes every value in it."""

from pathlib import Path

import pytest
import yaml

from tests.commands import ROOT, check

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
pytestmark = pytest.mark.filterwarnings("ignore:.*args parameter is intended")
each_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))


def test_what_is_wrong_is_noticed(monkeypatch):
    monkeypatch.chdir(ROOT)
    right = "python train/tokenizer.py fit --config configs/tokenizer/tiny.yaml --model.lr 0.1"
    check(right)
    for old, new in (
        ("tiny", "absent"),
        ("model.lr", "model.lrr"),
        ("0.1", "much"),
        ("tokenizer.py", "no.py"),
    ):
        with pytest.raises(AssertionError):
            check(right.replace(old, new))
    with pytest.raises(AssertionError):
        check("python sample/caption.py --modle x")


def header(path: Path) -> str:
    """The command in a config's first line."""
    first = path.read_text().splitlines()[0]
    assert first.startswith("# python "), (
        f"{path}: its first line is no '# python …', the command that runs it"
    )
    return first.removeprefix("# ")


@each_config
def test_the_header_runs_this_file_or_its_folder(path):
    assert {str(path.relative_to(ROOT)), str(path.parent.relative_to(ROOT))} & set(header(path).split())


@each_config
def test_every_value_is_taken(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    check(header(path))
    if path.stem == "encode":
        check(f"python train/encode.py --config {path.relative_to(ROOT)}")


@each_config
def test_runs_stay_in_one_folder(path):
    values = yaml.safe_load(path.read_text())
    trainer, out = values.get("trainer") or {}, values.get("out", "runs/")
    assert trainer.get("default_root_dir", "runs/").startswith("runs/") and out.startswith("runs/")
