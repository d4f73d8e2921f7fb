"""An integer on the command line is a count, whatever the order of the types."""

import pytest
import yaml
from jsonargparse import ArgumentParser

from tests.commands import ROOT
from train.transformer import main
from unitok.cli.count_or_share import read_integers_first


@pytest.mark.parametrize("kind", [float | int | None, int | float | None, float | int | str | dict[str, int]])
def test_one_is_a_count_and_a_share_stays_a_share(kind):
    parser = ArgumentParser()
    parser.add_argument("--limit", type=kind, default=None)
    parser.add_argument("--rates", type=dict[int, float], default={1: 0.5})
    read_integers_first(parser)
    for text, value in (("1", 1), ("1.0", 1.0), ("0.25", 0.25), ("-3", -3)):
        limit = parser.parse_args([f"--limit={text}"]).limit
        assert limit == value and type(limit) is type(value)
    assert parser.parse_args(["--rates={2: 1.5}"]).rates == {2: 1.5}


def test_the_trainings_read_counts(capsys):
    limits = ("limit_train_batches", "limit_val_batches", "val_check_interval", "overfit_batches")
    flags = [f"--trainer.{name}=1" for name in limits]
    with pytest.raises(SystemExit):
        main(["fit", "--config", str(ROOT / "configs/transformer/tiny.yaml"), *flags, "--print_config"])
    trainer = yaml.safe_load(capsys.readouterr().out)["trainer"]
    assert {name: type(trainer[name]) for name in limits} == dict.fromkeys(limits, int)
