"""A batch's gradients in several processes, each on a share of its rows. Knows rows and sums, no model.

Two threads share each product and each loop of a step, and wait for each other after every one of them; two
processes share the rows, and wait twice a step. Gradients of sums add up, so the step stays the same.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from unitok.data.batches.packing import Batch
from unitok.models.cross_entropy import LossSums, add_sums
from unitok.training.cores.shared_memory import share, shared_like
from unitok.training.cores.workers import Workers

Loss = Callable[[Batch, Batch], LossSums]
"""Of a batch, and of the batch without token dropout."""


class WholeBatch:
    """All rows in this process."""

    processes = 1

    def __init__(self, loss: Loss):
        self.sums = loss

    def add_gradients(self) -> None:
        """There are no others."""

    def close(self) -> None:
        """No process has to end."""


class RowShares:
    """Rows shared out over the workers and this process.

    Until the workers start, this process computes all shares, one after another, with the same result to the
    bit: the first step does so, and what it compiles is inherited.

    Args:
        workers: have not started; the weights move to memory that they see.
        loss: sums over rows.
        weights: all that are trained.
        precision: the context in which the loss is computed.
    """

    def __init__(
        self,
        workers: Workers,
        loss: Loss,
        weights: Iterable[nn.Parameter],
        *,
        precision: Callable[[], AbstractContextManager],
    ):
        self.workers, self.loss, self.precision = workers, loss, precision
        self.processes = 1 + workers.count
        self.weights = list(weights)
        share(self.weights)
        self.gradients = [[shared_like(weight) for weight in self.weights] for _ in range(workers.count)]
        workers.functions["gradients"] = self._gradients
        self.begun, self.waiting = False, 0

    def sums(self, batch: Batch, complete: Batch) -> LossSums:
        """The loss of a batch, whose gradient is that of this process's share: `add_gradients` adds the
        others'."""
        self.workers.one_thread()
        own, *others = _split(batch, complete, self.processes)
        others = [(number, *rows) for number, rows in enumerate(others)]
        self.waiting = len(others)
        if not self.begun:
            self.begun = True
            return add_sums([*self._here(others), self.loss(*own)])
        self.workers.start()
        self.workers.ask("gradients", others)
        return add_sums([self.loss(*own), *self.workers.answers()])

    def _here(self, shares: list[tuple[int, Batch, Batch]]) -> list[LossSums]:
        """What the workers do, in this process."""
        before = [weight.grad for weight in self.weights]
        sums = [next(filter(None, list(self._gradients(share)))) for share in shares]
        for weight, gradient in zip(self.weights, before, strict=True):
            weight.grad = gradient
        return sums

    def add_gradients(self) -> None:
        """Wait for the other shares' gradients, and add them."""
        if self.waiting:
            if self.workers.started:
                self.workers.answers()
            first, *others = self.gradients[: self.waiting]
            for other in others:
                torch._foreach_add_(first, other)
            _add(self.weights, first)
            self.waiting = 0
        self.workers.all_threads()

    def close(self) -> None:
        """End the workers."""
        self.workers.close()

    def _gradients(self, share: tuple[int, Batch, Batch]) -> Iterator[LossSums | None]:
        """In a worker: answers the loss of a share's rows, then, when its gradients are there, None."""
        number, batch, complete = share
        for weight, gradient in zip(self.weights, self.gradients[number], strict=True):
            weight.grad = gradient.zero_()
        with self.precision():
            sums = self.loss(batch, complete)
        yield sums._replace(total=sums.total.detach())
        sums.total.backward()
        torch.clear_autocast_cache()  # this process never leaves the context in which it was forked
        yield None


def _add(weights: list[nn.Parameter], gradients: list[Tensor]) -> None:
    """Add gradients to those of weights, where there are some."""
    for weight in weights:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
    torch._foreach_add_([weight.grad for weight in weights], gradients)


def _split(batch: Batch, complete: Batch, shares: int) -> list[tuple[Batch, Batch]]:
    """Consecutive rows of a batch for each share; for fewer where there are fewer rows."""
    halves = zip(*(_chunks(rows, shares) for rows in (batch, complete)), strict=True)
    return list(halves)


def _chunks(batch: Batch, shares: int) -> list[Batch]:
    fields = zip(*(tensor.tensor_split(min(shares, len(batch.ids))) for tensor in batch[:4]), strict=True)
    return [Batch(*rows) for rows in fields]
