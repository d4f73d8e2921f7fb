"""Every config names the command that runs it, and that command's own parser takes every value in it."""

from pathlib import Path

import pytest
import yaml

from tests.commands import ROOT, check

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
pytestmark = [
    pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT))),
    pytest.mark.filterwarnings("ignore:.*args parameter is intended"),
]


def header(path: Path) -> str:
    """The command in a config's first line."""
    first = path.read_text().splitlines()[0]
    assert first.startswith("# python "), (
        f"{path}: its first line is no '# python …', the command that runs it"
    )
    return first.removeprefix("# ")


def test_the_header_runs_this_file(path):
    assert f"--config {path.relative_to(ROOT)}" in header(path)


def test_every_value_is_taken(path, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    check(header(path))


def test_runs_stay_in_one_folder(path):
    values = yaml.safe_load(path.read_text())
    trainer, out = values.get("trainer") or {}, values.get("out", "runs/")
    assert trainer.get("default_root_dir", "runs/").startswith("runs/") and out.startswith("runs/")
