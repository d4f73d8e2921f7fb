"""Chooses device and precision, and checks whether torch.compile works there. Knows no model."""

import logging

import torch
from torch.nn.functional import conv2d, scaled_dot_product_attention

log = logging.getLogger(__name__)


def pick_device(device: str | torch.device) -> torch.device:
    """Returns a device; "auto" is a GPU where available. Raises ValueError for an unavailable device.

    On a Mac, "auto" is MPS if `lacks_operations` finds no lack; else a warning names it.
    """
    if device == "auto":
        return _best_device()
    try:
        result = torch.device(device)
        torch.empty(0, device=result)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device {device!r} is not available: {str(error).splitlines()[0]}") from error
    return result


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        lack = lacks_operations(torch.device("mps"))
        if lack is None:
            return torch.device("mps")
        log.warning("device: auto takes the CPU, not MPS: %s", lack)
    return torch.device("cpu")


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


def lacks_operations(device: torch.device) -> str | None:
    """Returns which operation of decoding or training a device lacks or gets wrong; None if all work.

    float64 is not among them: `widest_float` replaces it.
    """
    for name, operation in _OPERATIONS.items():
        try:
            result, expected = operation(device).cpu(), operation(torch.device("cpu"))
        except Exception as error:  # every backend raises its own kinds
            return f"{name}: {_first_line(error)}"
        if not torch.allclose(result, expected, rtol=1e-3, atol=1e-4):
            return f"{name}: results differ from the CPU's"
    return None


def _wrap(device: torch.device) -> torch.Tensor:
    """Products of 64-bit integers modulo 2**64, of which the noise of sampling is made."""
    x = torch.arange(8, device=device) * -0x61C8864680B583EB
    return (x ^ ((x >> 30) & 0x3FFFFFFFF)) & 0xFFFF


def _order(device: torch.device) -> torch.Tensor:
    """Top-k and top-p."""
    x = torch.arange(12.0, device=device).remainder(5).view(2, 6)
    values, order = x.sort(dim=-1, descending=True, stable=True)
    nucleus = torch.zeros_like(x).scatter(-1, order, values.softmax(-1).cumsum(-1))
    return nucleus + x.topk(2, dim=-1).values[:, -1:]


def _attend(device: torch.device) -> torch.Tensor:
    """Attention with a mask, where key-value heads serve several queries' heads."""
    x = torch.arange(96.0, device=device).sin().view(1, 2, 6, 8)
    mask = torch.ones(6, 6, dtype=torch.bool, device=device).tril()
    return scaled_dot_product_attention(x, x[:, :1], x[:, :1], attn_mask=mask, enable_gqa=True)


def _differentiate(device: torch.device) -> torch.Tensor:
    """The gradients of a convolution and of looked-up rows."""
    weight = torch.arange(96.0, device=device).cos().view(8, 3, 2, 2).requires_grad_()
    image = torch.arange(48.0, device=device).sin().view(1, 3, 4, 4)
    rows = weight[torch.tensor([1, 1, 5], device=device)]
    (conv2d(image, weight, stride=2).square().sum() + rows.square().sum()).backward()
    return weight.grad


_OPERATIONS = {
    "64-bit integers": _wrap,
    "sort and top-k": _order,
    "attention": _attend,
    "gradients": _differentiate,
}


def lacks_compiler(device: torch.device) -> str | None:
    """Returns why torch.compile does not work on the device; None where it does.

    A CPU needs a C++ compiler and Python's headers; a GPU, Triton.
    """
    try:
        torch.compile(_probe)(torch.ones(8, device=device))
    except Exception as error:  # every backend raises its own kinds
        return _first_line(error)
    return None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def _probe(x: torch.Tensor) -> torch.Tensor:
    return (x * 2).exp()
