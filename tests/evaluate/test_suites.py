"""Every suite is registered, listed and shown in the docs; its options are the fields of its class."""

from dataclasses import fields
from importlib import import_module
from inspect import isabstract
from pathlib import Path

import pytest

import unitok.evaluate
from tests.tiny_model import tiny_model
from unitok.api.learned_tasks import LearnedTask
from unitok.api.task_kinds import KINDS
from unitok.cli.commands.evaluate import OPTIONS
from unitok.evaluate.suites import SUITES, SceneSuite, Suite, find_suite, open_suite, register

OURS = {name: suite for name, suite in SUITES.items() if suite.module.startswith(".")}


def subclasses(kind):
    return {kind} | {below for child in kind.__subclasses__() for below in subclasses(child)}


def test_no_suite_is_forgotten():
    for path in Path(unitok.evaluate.__file__).parent.glob("[a-z]*.py"):
        import_module(f"unitok.evaluate.{path.stem}")
    whole = {kind for kind in subclasses(Suite) if not isabstract(kind)}
    whole = {kind for kind in whole if kind.__module__.startswith("unitok.")}
    assert {find_suite(name) for name in OURS} == whole
    page = (Path(__file__).parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")
    assert [name for name in OURS if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", OURS)
def test_a_suite_is_where_its_listing_says_and_the_command_has_its_options(name):
    kind = find_suite(name)
    assert kind.__module__ == f"unitok.evaluate{SUITES[name].module}"
    assert {field.name for field in fields(kind)} <= {*OPTIONS}


def test_figures_are_sorted_by_the_tasks_that_they_measure():
    figures = {"pictures": 8, "psnr": 30.0, "caption_accuracy": 0.5, "heldout_image_accuracy": 0.25}
    tasks = find_suite("shapes").of_tasks(figures, on="shapes")
    assert {name: [figure.name for figure in found] for name, found in tasks.items()} == {
        "captions": ["caption_accuracy"], "drawings": ["heldout_image_accuracy"]
    }  # fmt: skip
    (figure,) = tasks["captions"]
    assert (figure.value, figure.samples, figure.on) == (0.5, 8, "shapes")


@pytest.mark.parametrize("name", OURS)
def test_the_tasks_of_a_suite_are_known(name):
    assert {*find_suite(name).measures.values()} <= KINDS.keys() and find_suite(name).measures


def test_a_suite_names_what_a_model_never_learned():
    model = tiny_model(tasks=[LearnedTask("captions")])
    assert "to draw images from texts; it learned: captions" in open_suite("shapes").never_learned(model)
    assert open_suite("shapes").never_learned(tiny_model()) is None
    with pytest.raises(ValueError, match=r"nothing to measure: this model never learned to answer questions"):
        open_suite("tasks").measure(model)
    assert "learned to edit images" in open_suite("tasks", tasks=["edit_add"]).never_learned(model)


def test_two_suites_have_two_names():
    find_suite("pairs")
    with pytest.raises(ValueError, match=r"suite pairs is unitok\.evaluate\.captioned_images\.Pairs already"):
        register("pairs")(type("Other", (SceneSuite,), {}))


def test_options_that_are_none_are_absent_and_unknown_ones_are_refused():
    assert open_suite("tasks", tasks=["count"], split=None).count == 200
    with pytest.raises(ValueError, match=r"suite shapes does not take colour$"):
        open_suite("shapes", colour="red")
    with pytest.raises(ValueError, match=r"suite must be one of shapes, .*, got 'shape'"):
        open_suite("shape")
