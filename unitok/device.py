"""Chooses device and precision, and checks whether torch.compile works there. Knows no model."""

import logging

import torch

log = logging.getLogger(__name__)


def pick_device(device: str | torch.device) -> torch.device:
    """Returns a device; "auto" is a GPU where available. Raises ValueError for an unavailable device."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        result = torch.device(device)
        torch.empty(0, device=result)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device {device!r} is not available: {str(error).splitlines()[0]}") from error
    return result


def pick_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Returns a dtype; "auto" is bfloat16 on a GPU and float32 elsewhere. Logs a warning for a slow one.

    Raises ValueError for an unknown name.
    """
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    value = getattr(torch, str(dtype).removeprefix("torch."), None)
    if not isinstance(value, torch.dtype) or not value.is_floating_point:
        raise ValueError(f"dtype must be auto, float32, bfloat16 or float16, got {dtype!r}")
    if value is torch.bfloat16 and lacks_bfloat16(device):
        log.warning("dtype: this CPU has no bfloat16 instructions, float32 is faster")
    return value


def lacks_bfloat16(device: torch.device) -> bool:
    """Whether the device has no fast bfloat16: on CPUs without instructions for it, as in many laptops,
    matrix products are about 40 times slower than in float32."""
    if device.type != "cpu":
        return False
    return not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def fast_dtype(device: torch.device) -> torch.dtype:
    """The dtype of fast matrix products: bfloat16, or float32 where that is unsupported."""
    return torch.float32 if lacks_bfloat16(device) else torch.bfloat16


def widest_float(device: torch.device) -> torch.dtype:
    """The most precise dtype: float64, or float32 on MPS, which lacks float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def lacks_compiler(device: torch.device) -> str | None:
    """Returns why torch.compile does not work on the device; None where it does.

    A CPU needs a C++ compiler and Python's headers; a GPU, Triton.
    """
    try:
        torch.compile(_probe)(torch.ones(8, device=device))
    except Exception as error:  # every backend raises its own kinds
        return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
    return None


def _probe(x: torch.Tensor) -> torch.Tensor:
    return (x * 2).exp()
