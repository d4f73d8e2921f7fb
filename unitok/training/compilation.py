"""torch.compile where the machine can, plain execution where it cannot. Knows no model."""

import logging
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import nn

from unitok.device import lacks_compiler

log = logging.getLogger(__name__)


def compile_blocks(blocks: Iterable[nn.Module], *, device: torch.device) -> bool:
    """Compile each block's training in place; false, with one line in the log, where nothing compiles.

    All blocks share one compilation, for any number of rows. Without gradients they stay as they are: while
    decoding, every id changes the shapes.
    """
    lack = lacks_compiler(device)
    if lack is not None:
        log.warning("torch.compile does not work here, training goes on without it: %s", lack)
        return False
    for block in blocks:
        plain = block.forward
        block.forward = partial(_forward, plain, torch.compile(plain, dynamic=True))
    return True


def _forward(plain: Callable, compiled: Callable, *args, **options):
    return (compiled if torch.is_grad_enabled() else plain)(*args, **options)
