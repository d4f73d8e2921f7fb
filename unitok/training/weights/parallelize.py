"""FSDP over processes, torch.compile and activation checkpointing of a model's blocks. Knows no data."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint

from unitok.device import lacks_compiler
from unitok.models.attention_backends import Backend
from unitok.models.transformer import Transformer, transformer_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComputeConfig:
    """How a training step is computed; the results are the same.

    Args:
        attention: attention backend: sdpa everywhere, flex or xformers on CUDA; all give the same output, and
            sdpa replaces one that is missing.
        compile: compile the blocks with torch.compile; a warning is logged where that does not work.
        recompute: activation checkpointing: recompute the blocks in the backward pass to save memory.
        processes: that share each batch's rows on a CPU, with one thread each; None: one per core where that
            is possible. A resumed run keeps its number.
        peak_tflops: of the machine, in 10¹² operations per second, to log the share in use (mfu); 0 does not
            log it.
    """

    attention: Backend = "sdpa"
    compile: bool = False
    recompute: bool = False
    processes: int | None = None
    peak_tflops: float = 0.0

    def __post_init__(self):
        if self.processes is not None and self.processes < 1:
            raise ValueError(f"processes must be at least 1, got {self.processes}")


def shard(model: Transformer, mesh: DeviceMesh) -> None:
    """Shard each block, then the rest, over the mesh's data-parallel axis.

    Raises:
        ValueError: the mesh has a tensor-parallel axis, as the strategy's defaults give it.
    """
    if (size := mesh["tensor_parallel"].size()) > 1:
        raise ValueError(
            f"the strategy's tensor_parallel_size must be 1, got {size}: set data_parallel_size to the "
            "number of processes instead"
        )
    for block in model.blocks:
        fully_shard(block, mesh=mesh["data_parallel"])
    fully_shard(model, mesh=mesh["data_parallel"], reshard_after_forward=False)  # the loss uses the head


def reshard(model: nn.Module) -> None:
    """Reshard weights that a forward pass without a backward pass has left gathered."""
    if isinstance(model, FSDPModule):
        model.reshard()


@torch.no_grad()
def zero_rows(tensor: Tensor, rows: Iterable[range]) -> None:
    """Zero rows of a tensor, in place; the tensor may be sharded by rows, as `shard` does."""
    local, first = tensor, 0
    if isinstance(tensor, DTensor):  # assigning to a slice of a DTensor has no effect
        mesh, local = tensor.device_mesh, tensor.to_local()
        first = mesh.get_local_rank() * -(-len(tensor) // mesh.size())
    for ids in rows:
        local[max(0, ids.start - first) : max(0, ids.stop - first)] = 0


def full_tensor(tensor: Tensor) -> Tensor:
    """The full tensor of one that may be sharded."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def gather_weights(model: Transformer) -> Transformer:
    """A copy of a sharded model with all its weights, or the model itself; collective over all processes."""
    if not any(isinstance(weight, DTensor) for weight in model.parameters()):
        return model
    tensors = {name: full_tensor(tensor) for name, tensor in model.state_dict().items()}
    return transformer_of(model.config, tensors, build_bridge=model.build_bridge)


def compile_blocks(blocks: Iterable[nn.Module], *, device: torch.device) -> bool:
    """Compile both halves of each block for training, in place; False, with a warning, where that fails.

    All blocks share one compilation, for any number of rows. Without gradients the plain forward runs: in
    decoding, every id changes the shapes.
    """
    reason = lacks_compiler(device)
    if reason is not None:
        log.warning("torch.compile does not work here, training without it: %s", reason)
        return False
    for block in blocks:
        for name in ("mix", "feed"):
            plain = getattr(block, name)
            setattr(block, name, partial(_forward_compiled, plain, torch.compile(plain, dynamic=True)))
    return True


def _forward_compiled(plain: Callable, compiled: Callable, *args, **options):
    return (compiled if torch.is_grad_enabled() else plain)(*args, **options)


def recompute_blocks(blocks: Iterable[nn.Module]) -> None:
    """Activation checkpointing: keep only each block's input in training; gradients are the same
    (arXiv:1604.06174)."""
    for block in blocks:
        block.forward = partial(_forward_checkpointed, block.forward)


def _forward_checkpointed(forward: Callable, *args, **options):
    if not torch.is_grad_enabled():
        return forward(*args, **options)
    return checkpoint(forward, *args, use_reentrant=False, **options)
