"""Weights in shared memory are the same weights, and other processes see what becomes of them."""

import os

import torch
from torch import nn

from unitok.training.cores.shared_memory import share, shared_like


def test_a_forked_process_writes_where_this_one_reads():
    numbers = shared_like(torch.ones(3, 5, dtype=torch.bfloat16))
    assert numbers.shape == (3, 5) and numbers.dtype == torch.bfloat16 and not numbers.any()
    process = os.fork()
    if not process:
        numbers[1, 2] = 7.0
        os._exit(0)
    os.waitpid(process, 0)
    assert numbers.sum() == numbers[1, 2] == 7.0


def test_weights_stay_the_same_objects_with_the_same_numbers():
    layer = nn.Linear(4, 3)
    weights, before = list(layer.parameters()), [weight.clone() for weight in layer.parameters()]
    share(weights)
    assert next(iter(layer.parameters())) is weights[0] and weights[0].requires_grad
    assert all(torch.equal(*pair) for pair in zip(weights, before, strict=True))
    layer(torch.ones(2, 4)).sum().backward()
    assert weights[0].grad.shape == (3, 4)


def test_nothing_can_be_shared():
    assert shared_like(torch.zeros(0, 4)).shape == (0, 4)
