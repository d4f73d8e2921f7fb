"""Reads and checks safetensors files. Knows no model."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor


def write_weights(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to a file. Raises OSError where it cannot be written."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(contiguous, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise _as_os_error(error, path) from error


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a file into memory, so that they do not change with the file.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is corrupt.
    """
    with open(path, "rb"):  # safetensors reports an unreadable file as missing
        pass
    try:
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except SafetensorError as error:
        raise ValueError(f"{path}: corrupt or not safetensors ({error})") from error


def check_tensors(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, source: str | Path
) -> None:
    """Raises ValueError naming the first tensor that is absent, unexpected, misshapen or not finite."""
    for name in sorted(expected.keys() | tensors.keys()):
        got, required = _describe(tensors, name), _describe(expected, name)
        if got != required:
            raise ValueError(f"{source}: tensor {name} must be {required}, got {got}")
        if tensors[name].is_floating_point() and not torch.isfinite(tensors[name]).all():
            raise ValueError(
                f"{source}: tensor {name} must be finite, got NaN or infinity: its training diverged"
            )


def _as_os_error(error: SafetensorError, path: str | Path) -> OSError:
    """The operating system's error, whose number safetensors reports only in the text of its own."""
    number = re.search(r"os error (\d+)", str(error))
    if number is None:
        return OSError(f"{path}: {error}")
    return OSError(int(number[1]), os.strerror(int(number[1])), str(path))


def _describe(tensors: Mapping[str, Tensor], name: str) -> str:
    if name not in tensors:
        return "absent"
    tensor = tensors[name]
    kind = "" if tensor.is_floating_point() else f" of {str(tensor.dtype).removeprefix('torch.')}"
    return f"{tuple(tensor.shape)}{kind}"
