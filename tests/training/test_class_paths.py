"""A class is known by its path, this package's by its name; anything else is one line that names it."""

from collections import Counter
from inspect import isabstract

import pytest
import yaml
from lightning.pytorch import Callback

from tests.commands import ROOT
from unitok.data.source import Source
from unitok.modalities.actions import ActionModality
from unitok.modalities.base import Modality
from unitok.training.class_paths import (
    CALLBACKS,
    MODALITIES,
    SOURCES,
    build,
    find_class,
    import_classes,
)

RANGES = {"low": [0.0], "high": [1.0]}


@pytest.mark.parametrize("path", ["unitok.modalities.actions.ActionModality", "ActionModality"])
def test_a_modality_is_built_with_its_arguments(path):
    action = build({"class_path": path, "init_args": RANGES}, Modality, what="a modality")
    assert isinstance(action, ActionModality) and action.low == (0.0,)


@pytest.mark.parametrize(
    "value, message",
    [
        ("ActionModality", "ActionModality: .*'low'"),
        ({"class_path": "BoxModality", "init_args": {"size": 3}}, "BoxModality: .*size"),
        ("no.such.Modality", "no.such.Modality: not an importable class"),
        ("Beats", "Beats: not the class path of a Modality"),
        ("pathlib.Path", "pathlib.Path: not the class path of a Modality"),
        ({"init_args": {}}, "a modality must have class_path and may have init_args, got init_args"),
        (3, "a modality must be a class path, got 3"),
    ],
)
def test_anything_else_is_named(value, message):
    with pytest.raises(ValueError, match=message):
        build(value, Modality, what="a modality")


def subclasses(base: type) -> set[type]:
    """Those of this package."""
    found = {kind for direct in base.__subclasses__() for kind in {direct} | subclasses(direct)}
    return {kind for kind in found if kind.__module__.startswith("unitok.")}


@pytest.mark.parametrize("base", [Source, Modality, Callback])
def test_a_name_alone_is_that_of_one_class(base):
    import_classes(*SOURCES, *MODALITIES, *CALLBACKS)
    names = Counter(kind.__name__ for kind in subclasses(base))
    assert names and max(names.values()) == 1
    for kind in subclasses(base):
        if not isabstract(kind):
            assert find_class(kind.__name__, base, expected="") is kind


def class_paths(values: object) -> list[str]:
    inner = values.values() if isinstance(values, dict) else values if isinstance(values, list) else ()
    own = [values["class_path"]] if isinstance(values, dict) and "class_path" in values else []
    return own + [path for value in inner for path in class_paths(value)]


def test_configs_name_the_classes_of_this_package_without_modules():
    configs = sorted((ROOT / "configs").rglob("*.yaml"))
    named = {path for config in configs for path in class_paths(yaml.safe_load(config.read_text("utf-8")))}
    assert "ShapesSource" in named and not [path for path in named if path.startswith("unitok.")]
