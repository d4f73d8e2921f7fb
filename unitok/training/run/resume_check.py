"""Checks that a checkpoint belongs to this run before it is loaded. Knows names and shapes of weights."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unitok.training.run.checkpoint import find_fault

BLOCK = re.compile(r"model\.blocks\.(\d+)\.")
EMBEDDING = "model.embedding.weight"
SCRIPTS = {"tokenizer": "unitok train-tokenizer", "model": "unitok train-model"}


def check_fits(path: str, checkpoint: Mapping[str, Any], own: Mapping[str, Tensor]) -> None:
    """Compare the weights of a checkpoint with those of a run.

    Args:
        path: of the checkpoint, for messages.
        checkpoint: its content. Without weights nothing is compared: FSDP has loaded them itself by then.
        own: this run's weights by name.

    Raises:
        ValueError: their names or shapes differ.
    """
    if "state_dict" not in checkpoint:
        return
    weights = checkpoint["state_dict"]
    theirs, ours = _scripts(weights), _scripts(own)
    if not theirs & ours:
        scripts = " and ".join(sorted(theirs)) or "something else"
        expected = " and ".join(sorted(ours))
        raise ValueError(f"{path}: expected a checkpoint of {expected}, got one of {scripts}")
    advice = "give the settings of the checkpoint's run"
    own_sizes = _sizes(own)
    for name, size in _sizes(weights).items():
        if size != own_sizes.get(name, size):
            raise ValueError(f"{path}: {name} must be {own_sizes[name]}, got {size}: {advice}")
    for name, weight in own.items():
        if name not in weights:
            raise ValueError(f"{path}: {name} of this run is missing: {advice}")
        if weights[name].shape != weight.shape:
            shapes = f"{tuple(weight.shape)}, got {tuple(weights[name].shape)}"
            raise ValueError(f"{path}: {name} must have shape {shapes}: {advice}")
    extra = next((name for name in weights if name not in own), None)
    if extra is not None:
        raise ValueError(f"{path}: {extra} is not a weight of this run: {advice}")


def refuse_other_kind(path: Path, own: Mapping[str, Tensor]) -> None:
    """Raises FileExistsError if a new run would replace a checkpoint of the other training script."""
    if not path.is_file() or find_fault(path, complete=False) is not None:
        return
    theirs = _scripts(torch.load(path, map_location="cpu", mmap=True, weights_only=True)["state_dict"])
    if theirs and not theirs & _scripts(own):
        scripts = " and ".join(sorted(theirs))
        raise FileExistsError(
            f"{path}: a checkpoint of {scripts}, which would be lost: give another trainer.default_root_dir"
        )


def _scripts(weights: Mapping[str, Tensor]) -> set[str]:
    """The scripts that train such weights."""
    return {SCRIPTS[part] for part in {name.split(".")[0] for name in weights} & SCRIPTS.keys()}


def _sizes(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """A transformer's sizes, by the names of their settings where they have one."""
    if EMBEDDING not in weights:
        return {}
    layers = {match[1] for name in weights if (match := BLOCK.match(name))}
    ids, width = weights[EMBEDDING].shape
    return {"width": width, "layers": len(layers), "ids": ids}
