"""A class is known by its path, this package's by its name; anything else is one line that names it."""

import pytest

from unitok.modalities.actions import ActionModality
from unitok.modalities.base import Modality
from unitok.training.class_paths import build

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
