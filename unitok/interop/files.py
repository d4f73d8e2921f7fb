"""Reads tensors from other projects' files without running code in them. Knows no format's names."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unitok.json_files import read_object
from unitok.models.weights import read_weights

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
        return read_weights(path)
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
    try:
        return read_object(Path(folder) / "config.json")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{folder} is no model folder: it has no config.json") from error


def read_folder(folder: str | Path) -> tuple[dict[str, Any], Tensors]:
    """Configuration and tensors of a transformers folder, in one file or several."""
    config, folder = read_config(folder), Path(folder)
    shards = _shards(folder / INDEX) if (folder / INDEX).is_file() else [WEIGHTS]
    tensors: Tensors = {}
    for shard in shards:
        if not (folder / shard).is_file():
            raise FileNotFoundError(f"{folder} is no model folder: it has no {shard}")
        tensors |= read_weights(folder / shard)
    return config, tensors


def _shards(path: Path) -> list[str]:
    """Names of the files that an index tells of, all in its own folder."""
    files = read_object(path).get("weight_map")
    names = list(files.values()) if isinstance(files, dict) else []
    wrong = [name for name in names if not isinstance(name, str) or Path(name).name != name]
    if wrong or not names:
        raise ValueError(f"{path}: weight_map must name files of this folder, got {wrong or files!r:.80}")
    return sorted(set(names))


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
