"""Every suite is registered, listed and shown in the docs; its options are the fields of its class."""

from dataclasses import fields
from importlib import import_module
from inspect import isabstract
from pathlib import Path

import pytest

import unitok.evaluate
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
