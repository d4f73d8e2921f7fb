"""Checks that a checkpoint belongs to this run before it is loaded. Knows names and shapes of weights."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from unitok.training.run.checkpoint import fault_of

BLOCK = re.compile(r"model\.blocks\.(\d+)\.")
ROWS = "model.embedding.weight"
KINDS = {"tokenizer": "train/tokenizer.py", "model": "train/transformer.py"}


def check_fits(path: str, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Compare the weights of a checkpoint with those of a run.

    Args:
        path: of the checkpoint, for messages.
        given, own: weights by name: of the checkpoint, and as this run has them.

    Raises:
        ValueError: they are another model's.
    """
    theirs, ours = _kinds(given), _kinds(own)
    if not theirs & ours:
        told = " and ".join(sorted(theirs)) or "something else"
        raise ValueError(f"{path} is a checkpoint of {told}, expected one of {' and '.join(sorted(ours))}")
    here = _sizes(own)
    for name, size in _sizes(given).items():
        if size != here.get(name, size):
            raise ValueError(f"{path} has {name} {size}, this run {here[name]}: give the settings of its run")
    for name, weight in own.items():
        if name not in given:
            raise ValueError(f"{path} has no {name}, which this run has: give the settings of its run")
        if given[name].shape != weight.shape:
            shapes = f"{tuple(given[name].shape)}, in this run {tuple(weight.shape)}"
            raise ValueError(f"{path}: {name} is {shapes}: give the settings of its run")
    more = next((name for name in given if name not in own), None)
    if more is not None:
        raise ValueError(f"{path} has {more}, which this run has not: give the settings of its run")


def refuse_other_kind(path: Path, own: Mapping[str, Tensor]) -> None:
    """Raises FileExistsError where a new run would replace the checkpoint of another part's run."""
    if not path.is_file() or fault_of(path, whole=False) is not None:
        return
    theirs = _kinds(torch.load(path, map_location="cpu", mmap=True, weights_only=True)["state_dict"])
    if theirs and not theirs & _kinds(own):
        told = " and ".join(sorted(theirs))
        raise FileExistsError(
            f"{path} is of {told}, and would be lost: give another trainer.default_root_dir"
        )


def _kinds(weights: Mapping[str, Tensor]) -> set[str]:
    """The scripts that train such weights."""
    return {KINDS[part] for part in {name.split(".")[0] for name in weights} & KINDS.keys()}


def _sizes(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """What people call the sizes of a transformer."""
    if ROWS not in weights:
        return {}
    layers = {found[1] for name in weights if (found := BLOCK.match(name))}
    ids, width = weights[ROWS].shape
    return {"width": width, "layers": len(layers), "ids": ids}
