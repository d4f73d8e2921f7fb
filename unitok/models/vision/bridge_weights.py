"""The weights with which a bridge starts, from its own file or a model's. Knows no kind of bridge."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from unitok.models.vision.bridge import Bridge
from unitok.models.weights import check_tensors, read_weights, tensor_names

OF_MODEL = "bridge."
"""What the names of a bridge's weights begin with in a model's file."""


def load_bridge(bridge: Bridge, path: str | Path) -> None:
    """Give a bridge the weights of a file: its layers, and its encoder where the file has that.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is corrupt, or has other layers, or leads to another width.
    """
    tensors = _read(path)
    width, made = len(bridge.layers.out.weight), len(tensors.get("layers.out.weight", ()))
    if made not in (0, width):
        raise ValueError(f"{path}: the bridge makes {made}, the model has {width}")
    _load(bridge.layers, tensors, "layers.", path)
    if bridge.encoder is not None and any(name.startswith("encoder.") for name in tensors):
        _load(bridge.encoder, tensors, "encoder.", path)
    bridge.initialised = True


def _read(path: str | Path) -> dict[str, Tensor]:
    names = tensor_names(path)
    if any(name.startswith(OF_MODEL) for name in names):
        names = [name for name in names if name.startswith(OF_MODEL)]
    return {name.removeprefix(OF_MODEL): tensor for name, tensor in read_weights(path, names).items()}


def _load(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: str | Path) -> None:
    found = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    check_tensors(found, module.state_dict(), source=path)
    module.load_state_dict(found)
