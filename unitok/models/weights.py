"""Reads and checks safetensors files. Knows no model."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


def write_weights(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to a file. Raises OSError where it cannot be written."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(contiguous, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise _as_os_error(error, path) from error


def read_weights(path: str | Path, names: Iterable[str] | None = None) -> dict[str, Tensor]:
    """Read tensors of a file into memory, so that they do not change with the file.

    Args:
        path: the file.
        names: of the tensors; None for all.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is corrupt.
    """
    with _open(path) as file:
        return {name: file.get_tensor(name).clone() for name in (file.keys() if names is None else names)}


def tensor_names(path: str | Path) -> list[str]:
    """Read the names of the tensors of a file. Raises the errors of `read_weights`."""
    with _open(path) as file:
        return list(file.keys())


@contextmanager
def _open(path: str | Path) -> Iterator[Any]:
    with open(path, "rb"):  # safetensors reports an unreadable file as missing
        pass
    try:
        with safe_open(path, "pt") as file:
            yield file
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
