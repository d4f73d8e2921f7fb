"""torch.compile where the machine can, plain execution where it cannot. Knows no model."""

import logging
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import nn

log = logging.getLogger(__name__)


def compile_blocks(blocks: Iterable[nn.Module], *, device: torch.device) -> bool:
    """Compile each block's training in place; false, with one line in the log, where nothing compiles.

    All blocks share one compilation, for any number of rows. Without gradients they stay as they are: while
    decoding, every id changes the shapes. A CPU needs a C++ compiler and Python's headers; a GPU, Triton.
    """
    try:
        torch.compile(_probe)(torch.ones(8, device=device))
    except Exception as error:  # every backend has its own kinds
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        log.warning("torch.compile does not work here, training goes on without it: %.200s", reason)
        return False
    for block in blocks:
        plain = block.forward
        block.forward = partial(_forward, plain, torch.compile(plain, dynamic=True))
    return True


def _forward(plain: Callable, compiled: Callable, *args, **options):
    return (compiled if torch.is_grad_enabled() else plain)(*args, **options)


def _probe(x: torch.Tensor) -> torch.Tensor:
    return (x * 2).exp()
