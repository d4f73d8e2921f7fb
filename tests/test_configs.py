"""Every config names the command that runs it, and the parser of that command accepts every value."""

import pytest
import yaml

from tests.commands import CONFIGS, ROOT, check, header

pytestmark = pytest.mark.filterwarnings("ignore:.*args parameter is intended")
each_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))


def test_errors_are_detected(monkeypatch):
    monkeypatch.chdir(ROOT)
    command = "unitok train-tokenizer fit --config configs/tokenizer/tiny.yaml --model.optimizer.lr 0.1"
    check(command)
    for old, new in (
        ("tiny", "absent"),
        ("optimizer.lr", "optimizer.lrr"),
        ("0.1", "much"),
        ("train-tokenizer", "no"),
    ):
        with pytest.raises(AssertionError):
            check(command.replace(old, new))
    with pytest.raises(AssertionError):
        check("unitok caption --modle x")


@each_config
def test_the_header_runs_this_file_or_its_folder(path):
    assert {str(path.relative_to(ROOT)), str(path.parent.relative_to(ROOT))} & set(header(path).split())


@each_config
def test_every_value_is_accepted(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    check(header(path))
    if path.stem == "encode":
        check(f"unitok encode --config {path.relative_to(ROOT)}")


@each_config
def test_runs_stay_in_one_folder(path):
    values = yaml.safe_load(path.read_text())
    trainer, out = values.get("trainer") or {}, values.get("out", "runs/")
    assert trainer.get("default_root_dir", "runs/").startswith("runs/") and out.startswith("runs/")
