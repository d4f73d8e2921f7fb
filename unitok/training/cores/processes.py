"""How many processes share a training step on a CPU, and what of it."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import nn

from unitok.training.cores.matrix_shares import MatrixShares
from unitok.training.cores.row_shares import Loss, RowShares
from unitok.training.cores.workers import Workers, lacks_fork
from unitok.training.optimizers import MuonAdamW

log = logging.getLogger(__name__)


def choose_processes(asked: int | None, *, device: torch.device, world_size: int, has_bridge: bool) -> int:
    """Returns the number of processes for a run.

    Args:
        asked: by the settings; None: one per thread of torch, where that is possible.
        device: of the run.
        world_size: number of ranks.
        has_bridge: whether the model sees images, which rows of a batch share.

    Raises:
        ValueError: more than one is asked for, and impossible.
    """
    processes = torch.get_num_threads() if asked is None else asked
    if processes == 1:
        return 1
    reason = _lacks_processes(device, world_size, has_bridge)
    if reason is None:
        return processes
    if asked is not None:
        raise ValueError(f"model.compute.processes must be 1, got {asked}: {reason}")
    log.info("one process computes each step: %s", reason)
    return 1


def _lacks_processes(device: torch.device, world_size: int, has_bridge: bool) -> str | None:
    """Why several processes cannot share a step; None where they can."""
    if device.type != "cpu":
        return f"the run is on {device.type}"
    if world_size > 1:
        return "trainer.devices is above 1"
    if has_bridge:
        return "rows share the images that a bridge reads"
    return lacks_fork()


def share_rows(
    processes: int,
    loss: Loss,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    precision: Callable[[], AbstractContextManager],
) -> RowShares:
    """Share batches, and the matrices of a Muon optimizer, with processes, of which this is one."""
    workers = Workers(processes - 1)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if isinstance(optimizer, MuonAdamW):
        MatrixShares(workers, optimizer)
    return RowShares(workers, loss, weights, precision=precision)
