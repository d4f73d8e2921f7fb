"""Muon's matrices in several processes. Knows matrices, no model."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from unitok.device import fast_dtype
from unitok.training.cores.shared_memory import shared_like
from unitok.training.cores.workers import Workers
from unitok.training.optimizers import MuonAdamW, orthogonalize

Deal = tuple[int, list[tuple[int, ...]], int]
"""A process's number, the shapes of the stacks, and the steps of the iteration."""


class MatrixShares:
    """The matrices of an optimizer, dealt out to the workers and this process.

    Until the workers start, this process computes all shares, with the same result to the bit.

    Args:
        workers: have not started.
        optimizer: is made to use this.
    """

    def __init__(self, workers: Workers, optimizer: MuonAdamW):
        self.workers, self.processes = workers, 1 + workers.count
        groups = [group["params"] for group in optimizer.param_groups if group["muon"]]
        elements = sum(weight.numel() for weights in groups for weight in weights)
        self.memory = shared_like(torch.empty(elements, dtype=fast_dtype(torch.device("cpu"))))
        workers.functions["matrices"] = self._orthogonalize
        optimizer.orthogonalize = self.orthogonalize

    def orthogonalize(self, stacks: Sequence[Tensor], steps: int) -> list[Tensor]:
        """`orthogonalize` of every stack [n, r, c]."""
        shapes = [tuple(stack.shape) for stack in stacks]
        shared = _stacks(self.memory, shapes)
        torch._foreach_copy_(shared, list(stacks))
        own, *others = [(number, shapes, steps) for number in range(self.processes)]
        self.workers.one_thread()
        if self.workers.started:
            self.workers.ask("matrices", others)
        else:
            for deal in others:
                list(self._orthogonalize(deal))
        list(self._orthogonalize(own))
        if self.workers.started:
            self.workers.answers()
        self.workers.all_threads()
        return shared

    def _orthogonalize(self, deal: Deal) -> Iterator[None]:
        """In each process: answers when its matrices are done."""
        number, shapes, steps = deal
        before = 0
        for stack in _stacks(self.memory, shapes):
            own = stack[(number - before) % self.processes :: self.processes]
            if len(own):
                own.copy_(orthogonalize(own, steps=steps))
            before += len(stack)
        yield None


def _stacks(memory: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Tensors of these shapes, one after another in flat memory."""
    sizes = [math.prod(shape) for shape in shapes]
    pieces = memory[: sum(sizes)].split(sizes)
    return [piece.view(shape) for piece, shape in zip(pieces, shapes, strict=True)]
