"""Guidance is its formula on any logits, and rescale that of Lin et al."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unitok.generation.guidance import combine_branches


def some_logits(seed: int, branches: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(branches, 4, 50, generator=generator, dtype=torch.float64)


@given(st.integers(0, 10_000), st.floats(1.1, 9), st.floats(0.01, 1))
def test_rescale_is_the_formula(seed, scale, share):
    """x = free + s (all - free), then arXiv:2305.08891, eq. 15 and 16: φ x std(all) / std(x) + (1 - φ) x."""
    everything, free = some_logits(seed, 2)
    mixed = free + scale * (everything - free)
    deviations = [x.var(dim=1, unbiased=True, keepdim=True).sqrt() for x in (everything, mixed)]
    rescaled = mixed * deviations[0] / deviations[1]
    expected = share * rescaled + (1 - share) * mixed
    actual = combine_branches(torch.stack((everything, free)), (scale, 1 - scale), rescale=share)
    assert torch.allclose(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("branches", [2, 3])
def test_the_whole_way_back_has_the_deviation_of_the_first_branch_and_none_changes_nothing(branches):
    logits, weights = some_logits(1, branches), (3.0, -0.5, -1.5)[:branches]
    mixed = sum(weight * part for weight, part in zip(weights, logits, strict=True))
    assert torch.allclose(combine_branches(logits, weights, rescale=0.0), mixed)
    back = combine_branches(logits, weights, rescale=1.0)
    assert torch.allclose(back.std(dim=1), logits[0].std(dim=1)) and not torch.allclose(back, mixed)


def test_one_branch_is_left_alone():
    logits = some_logits(2, 1)
    assert torch.equal(combine_branches(logits, (1.0,), rescale=0.7), logits[0])
