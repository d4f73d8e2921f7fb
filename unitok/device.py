"""Chooses device and precision, and tells whether torch.compile works there. Knows no model."""

import logging

import torch

log = logging.getLogger(__name__)


def pick_device(device: str | torch.device) -> torch.device:
    """ "auto" is a GPU where there is one. Raises ValueError for a device that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device {device!r} is not available: {str(error).splitlines()[0]}") from error
    return place


def pick_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """ "auto" is bfloat16 on a GPU and float32 elsewhere; one line in the log tells of one that is slow.

    Raises ValueError for an unknown name.
    """
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    value = getattr(torch, str(dtype).removeprefix("torch."), None)
    if not isinstance(value, torch.dtype) or not value.is_floating_point:
        raise ValueError(f"unknown dtype {dtype!r}; try auto, float32, bfloat16 or float16")
    if value is torch.bfloat16 and lacks_bfloat16(device):
        log.warning("dtype: this CPU has no instructions for bfloat16, float32 is faster on it")
    return value


def lacks_bfloat16(device: torch.device) -> bool:
    """Whether products are slower in bfloat16 than in float32 there, by some 40 times: on a CPU without
    instructions for it, as many laptops have."""
    if device.type != "cpu":
        return False
    return not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def fast_dtype(device: torch.device) -> torch.dtype:
    """What products of matrices are fast in there: bfloat16, or float32 where that is lacking."""
    return torch.float32 if lacks_bfloat16(device) else torch.bfloat16


def widest_float(device: torch.device) -> torch.dtype:
    """What is most exact there: float64, which MPS has not."""
    return torch.float32 if device.type == "mps" else torch.float64


def lacks_compiler(device: torch.device) -> str | None:
    """Why torch.compile does not work there; None where it does. A CPU needs a C++ compiler and Python's
    headers; a GPU, Triton."""
    try:
        torch.compile(_probe)(torch.ones(8, device=device))
    except Exception as error:  # every backend has its own kinds
        return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
    return None


def _probe(x: torch.Tensor) -> torch.Tensor:
    return (x * 2).exp()
