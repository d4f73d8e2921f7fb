"""Reads tensors from other projects' files without running code in them. Knows no format's names."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from unitok.json_files import read_object
from unitok.models.weights import read_weights, tensor_names

INERT = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
)
"""Classes that old Lightning checkpoints refer to without need; each is read as a Placeholder."""

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

Tensors = dict[str, Tensor]
Item = TypeVar("Item")
"""A tensor, or what else has its name."""


class Placeholder:
    """Replaces inert classes."""


def read_checkpoint(path: str | Path, *, under: Sequence[str] = ("state_dict", "model")) -> Tensors:
    """Read the tensors of a .ckpt, .pt or .safetensors file, below the first of the keys `under` that it has.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is corrupt, or holds more than plain data, or no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found")
    if path.suffix == ".safetensors":
        return read_weights(path)
    try:
        with torch.serialization.safe_globals([(Placeholder, name) for name in INERT]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(f"{path}: cannot be read as plain tensors: {reason}") from error
    state = next((content[key] for key in under if isinstance(content, Mapping) and key in content), content)
    return _select_tensors(state, path)


def _select_tensors(content: Any, path: Path) -> Tensors:
    tensors = dict(content) if isinstance(content, Mapping) else {}
    tensors = {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(f"{path}: must hold tensors by name, got {type(content).__name__}")
    return tensors


def read_config(folder: str | Path) -> dict[str, Any]:
    """Read config.json of a transformers folder."""
    try:
        return read_object(Path(folder) / "config.json")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{folder}: not a model folder (config.json is missing)") from error


def read_folder(folder: str | Path) -> tuple[dict[str, Any], Tensors]:
    """Read config.json and the tensors of a transformers folder, from one file or several shards."""
    config = read_config(folder)
    return config, read_tensors(locate_tensors(folder))


def locate_tensors(folder: str | Path) -> dict[str, Path]:
    """The names of the tensors of a transformers folder, each with its file.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is corrupt, or the weights are pickled.
    """
    folder = Path(folder)
    shards = _read_index(folder / INDEX) if (folder / INDEX).is_file() else [WEIGHTS]
    for shard in shards:
        if not (folder / shard).is_file():
            pickled = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
            if pickled and shard == WEIGHTS:
                raise ValueError(f"{folder}: weights must be in {WEIGHTS}, got {pickled[0]}, a pickle")
            raise FileNotFoundError(f"{folder}: not a model folder ({shard} is missing)")
    return {name: folder / shard for shard in shards for name in tensor_names(folder / shard)}


def read_tensors(places: Mapping[str, Path]) -> Tensors:
    """Read tensors by name from their files, and nothing else of these files."""
    files: dict[Path, list[str]] = {}
    for name, path in places.items():
        files.setdefault(path, []).append(name)
    tensors: Tensors = {}
    for path, names in files.items():
        tensors |= read_weights(path, names)
    return tensors


def _read_index(path: Path) -> list[str]:
    """Read the names of the shards that an index lists, all in its own folder."""
    files = read_object(path).get("weight_map")
    names = list(files.values()) if isinstance(files, dict) else []
    wrong = [name for name in names if not isinstance(name, str) or Path(name).name != name]
    if wrong or not names:
        raise ValueError(f"{path}: weight_map must name files of this folder, got {wrong or files!r:.80}")
    return sorted(set(names))


def strip_prefix(tensors: Mapping[str, Item], landmark: str, *, source: str | Path) -> dict[str, Item]:
    """Select the tensors whose names share the prefix of the tensor `landmark`, and strip the prefix.

    Raises:
        ValueError: no name ends with the landmark.
    """
    matches = [name for name in tensors if name == landmark or name.endswith("." + landmark)]
    if not matches:
        raise ValueError(f"{source}: no tensor {landmark}")
    prefix = min(matches, key=len)[: -len(landmark)]
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
