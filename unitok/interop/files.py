"""Tensors out of other projects' files, without running anything that is in them. Knows no format's names."""

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

INERT = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
)
"""Classes that old Lightning files only mention: each stands for nothing here."""

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

Tensors = dict[str, Tensor]


class Nothing:
    """What an inert class is read as."""


def read_checkpoint(path: str | Path, *, under: Sequence[str] = ("state_dict", "model")) -> Tensors:
    """The tensors of a .ckpt, .pt or .safetensors file, at the first of the keys `under` that it has.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, holds more than plain data, or no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        with torch.serialization.safe_globals([(Nothing, name) for name in INERT]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(f"{path} cannot be read as plain tensors: {reason}") from error
    inside = next((content[key] for key in under if isinstance(content, Mapping) and key in content), content)
    return _only_tensors(inside, path)


def _only_tensors(content: Any, path: Path) -> Tensors:
    tensors = dict(content) if isinstance(content, Mapping) else {}
    tensors = {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(f"{path} holds no tensors by name, but {type(content).__name__}")
    return tensors


def read_config(folder: str | Path) -> dict[str, Any]:
    """Configuration of a transformers folder, without its tensors."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no model folder: it has no config.json")
    return _read_json(path)


def read_folder(folder: str | Path) -> tuple[dict[str, Any], Tensors]:
    """Configuration and tensors of a transformers folder, in one file or several."""
    config, folder = read_config(folder), Path(folder)
    if (folder / INDEX).is_file():
        shards = sorted(set(_read_json(folder / INDEX).get("weight_map", {}).values()))
    else:
        shards = [WEIGHTS]
    tensors: Tensors = {}
    for shard in shards:
        if Path(shard).name != shard or not (folder / shard).is_file():
            raise FileNotFoundError(f"{folder} is no model folder: it has no {shard}")
        tensors |= _read_safetensors(folder / shard)
    return config, tensors


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: got {type(values).__name__}, expected an object")
    return values


def _read_safetensors(path: Path) -> Tensors:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def below(tensors: Tensors, landmark: str, *, source: str | Path) -> Tensors:
    """Those tensors whose names have the prefix that `landmark` has, without it.

    Raises:
        ValueError: no name ends with the landmark.
    """
    found = [name for name in tensors if name == landmark or name.endswith("." + landmark)]
    if not found:
        raise ValueError(f"{source} has no tensor {landmark}")
    prefix = min(found, key=len)[: -len(landmark)]
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
