"""Every suite is registered and listed; a suite of one file runs by its name."""

import json
from dataclasses import fields
from importlib import import_module
from inspect import isabstract
from pathlib import Path

import pytest

import unitok.evaluate
from tests.tiny_model import tiny_model
from unitok.cli.commands.evaluate import OPTIONS, main
from unitok.evaluate.report import Report
from unitok.evaluate.suites import SUITES, SceneSuite, Suite, find_suite, open_suite, register


@register("letters")
class Letters(SceneSuite):
    """Letters in the captions of nothing."""

    count: int = 2

    def measure(self, model, *, batch_size=128) -> Report:
        return Report({"canvas": self.canvas(model), "images": self.count, "at_once": batch_size})


def subclasses(kind):
    return {kind} | {below for child in kind.__subclasses__() for below in subclasses(child)}


def test_a_suite_of_one_file_runs_from_the_command_line(tmp_path, capsys):
    tiny_model(shape=(3, 3)).save_pretrained(tmp_path / "m")
    main(f"--model {tmp_path}/m --suite letters --count 3 --batch-size 4 --out {tmp_path}/out".split())
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report == {"canvas": 12, "images": 3, "at_once": 4}
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "\n  letters        Letters in the captions of nothing.\n" in capsys.readouterr().out


def test_no_suite_is_forgotten():
    for path in Path(unitok.evaluate.__file__).parent.glob("[a-z]*.py"):
        import_module(f"unitok.evaluate.{path.stem}")
    named = {find_suite(name): SUITES[name] for name in SUITES}
    assert len(named) == len(SUITES)
    page = (Path(__file__).parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")
    assert [name for name in SUITES if f"`{name}`" not in page] == ["letters"]
    whole = {kind for kind in subclasses(Suite) if not isabstract(kind) and kind.__name__ != "Letters"}
    assert {kind for kind in whole if kind not in named} == set(), "a suite without a name"
    for kind in whole:
        assert f"unitok.evaluate{named[kind].module}" == kind.__module__
        assert {field.name for field in fields(kind)} <= {*OPTIONS}, "an option that the command lacks"


def test_two_suites_have_two_names():
    with pytest.raises(ValueError, match=r"suite pairs is unitok\.evaluate\.captioned_images\.Pairs already"):
        find_suite("pairs")
        register("pairs")(type("Other", (SceneSuite,), {"__module__": __name__}))


def test_options_are_those_of_the_class():
    assert open_suite("tasks", tasks=["count"], split=None).count == 200
    with pytest.raises(ValueError, match=r"suite letters does not take colour$"):
        open_suite("letters", colour="red")
    with pytest.raises(ValueError, match=r"suite must be one of shapes, .*, got 'shape'"):
        open_suite("shape")
