"""FSDP over processes, torch.compile and activation checkpointing of a model's blocks. Knows no data."""

import logging
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint

from unitok.device import lacks_compiler
from unitok.models.transformer import Transformer, transformer_of

log = logging.getLogger(__name__)


def shard(model: Transformer, mesh: DeviceMesh) -> None:
    """Shard each block, then the rest, over the mesh's data-parallel axis.

    Raises:
        ValueError: the mesh has a tensor-parallel axis, which is the strategy's own default.
    """
    if (split := mesh["tensor_parallel"].size()) > 1:
        raise ValueError(
            f"a matrix cannot be split over {split} processes: give the strategy tensor_parallel_size=1 and "
            "data_parallel_size=the number of processes"
        )
    for block in model.blocks:
        fully_shard(block, mesh=mesh["data_parallel"])
    fully_shard(model, mesh=mesh["data_parallel"], reshard_after_forward=False)  # the loss takes the head


def reshard(model: nn.Module) -> None:
    """Deal out again what a forward pass without a backward one has left gathered, if anything is."""
    if isinstance(model, FSDPModule):
        model.reshard()


@torch.no_grad()
def zero_rows(tensor: Tensor, rows: Iterable[range]) -> None:
    """Make rows of a tensor zero, in place; it may be dealt out by rows, as `shard` does."""
    own, first = tensor, 0
    if isinstance(tensor, DTensor):  # an assignment to a part of one has no effect
        mesh, own = tensor.device_mesh, tensor.to_local()
        first = mesh.get_local_rank() * -(-len(tensor) // mesh.size())
    for ids in rows:
        own[max(0, ids.start - first) : max(0, ids.stop - first)] = 0


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be dealt out, all of it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def gathered(model: Transformer) -> Transformer:
    """The same model with all of its weights, if they are dealt out; all processes take part."""
    if not any(isinstance(weight, DTensor) for weight in model.parameters()):
        return model
    return transformer_of(model.config, {name: whole(tensor) for name, tensor in model.state_dict().items()})


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
        block.forward = partial(_compiled_to_train, plain, torch.compile(plain, dynamic=True))
    return True


def _compiled_to_train(plain: Callable, compiled: Callable, *args, **options):
    return (compiled if torch.is_grad_enabled() else plain)(*args, **options)


def recompute_blocks(blocks: Iterable[nn.Module]) -> None:
    """Keep each block's input only, while training; the gradients stay the same (arXiv:1604.06174)."""
    for block in blocks:
        block.forward = partial(_recomputed, block.forward)


def _recomputed(inner: Callable, *args, **options):
    if not torch.is_grad_enabled():
        return inner(*args, **options)
    return checkpoint(inner, *args, use_reentrant=False, **options)
