"""Muon's matrices in shares are updated as by one process."""

import pytest
import torch

from unitok.training.cores.matrix_shares import MatrixShares
from unitok.training.cores.workers import Workers
from unitok.training.optimizers import MuonAdamW, orthogonalize_all

SHAPES = [(3, 8, 24), (1, 16, 8), (2, 8, 8), (1, 4, 4)]


@pytest.fixture
def optimizer() -> MuonAdamW:
    torch.manual_seed(0)
    matrices = [torch.randn(rows, columns) for count, rows, columns in SHAPES for _ in range(count)]
    return MuonAdamW(matrices, [torch.zeros(3)], lr=0.1, muon_lr=0.1)


@pytest.mark.parametrize("processes", [2, 3])
def test_every_matrix_is_made_orthogonal_by_one_process_or_another(optimizer, processes):
    workers = Workers(processes - 1)
    shares = MatrixShares(workers, optimizer)
    stacks = [torch.randn(shape) for shape in SHAPES]
    alone = [stack.clone() for stack in optimizer.orthogonalize(stacks, 5)]
    workers.start()
    together = shares.orthogonalize(stacks, 5)
    for one, other, expected in zip(alone, together, orthogonalize_all(stacks, 5), strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(other.float(), expected.float(), rtol=0, atol=0.03)  # bfloat16
    workers.close()


def test_fewer_matrices_than_the_optimizer_has(optimizer):
    """Those without a gradient are not updated."""
    workers = Workers(1)
    shares = MatrixShares(workers, optimizer)
    stacks = [torch.randn(2, 8, 24), torch.randn(1, 4, 4)]
    for _ in range(2):
        found = shares.orthogonalize(stacks, 5)
        for one, expected in zip(found, orthogonalize_all(stacks, 5), strict=True):
            torch.testing.assert_close(one.float(), expected.float(), rtol=0, atol=0.03)
        workers.start()
    workers.close()


def test_a_step_of_the_optimizer_is_that_of_one_process(optimizer):
    def step(workers: Workers | None) -> list[torch.Tensor]:
        torch.manual_seed(1)
        weights = [torch.nn.Parameter(torch.randn(8, 16)) for _ in range(3)]
        optimizer = MuonAdamW(weights, [torch.nn.Parameter(torch.ones(2))], lr=0.1, muon_lr=0.1)
        if workers is not None:
            MatrixShares(workers, optimizer)
            workers.start()
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        optimizer.step()
        return weights

    workers = Workers(2)
    torch.testing.assert_close(step(workers), step(None), rtol=0, atol=5e-3)
    workers.close()
