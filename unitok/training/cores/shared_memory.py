"""Tensors in memory that forked processes share. Knows no model."""

import mmap
from collections.abc import Iterable

import torch
from torch import Tensor


def shared_like(tensor: Tensor) -> Tensor:
    """Zeros of a tensor's shape and dtype, in memory that processes forked later share with this one.

    It is anonymous, not a file of /dev/shm, of which a container may have no more than 64 MB.
    """
    if not tensor.numel():
        return torch.zeros_like(tensor)
    return torch.frombuffer(mmap.mmap(-1, tensor.nbytes), dtype=tensor.dtype).view(tensor.shape)


@torch.no_grad()
def share(weights: Iterable[Tensor]) -> None:
    """Move weights, which stay the same objects, to shared memory."""
    for weight in weights:
        weight.data = shared_like(weight).copy_(weight)
