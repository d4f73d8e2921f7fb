"""Noise depends on its key alone and has the right distribution; filters keep what they say."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unitok.sampling import Sampling, filtered, gumbel, pick, row_key

integers = st.integers(-(2**63), 2**63 - 1)


id_lists = st.lists(st.integers(0, 200_000), min_size=2, max_size=20, unique=True)


@given(integers, st.integers(0, 10_000), id_lists)
def test_noise_of_an_id_depends_on_neither_row_nor_neighbours(key, counter, ids):
    keys, counters = torch.tensor([0, key]), torch.tensor([5, counter])
    together = gumbel(keys, counters, torch.tensor(ids))[1]
    alone = torch.stack([gumbel(keys[1:], counters[1:], torch.tensor([i]))[0, 0] for i in ids])
    assert torch.equal(together, alone) and torch.isfinite(together).all()


def test_draws_follow_the_softmax():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    keys = torch.tensor([row_key(0, torch.tensor([1, 2]), copy) for copy in range(20_000)])
    picked = pick(
        logits.expand(len(keys), 4),
        torch.arange(4),
        Sampling(),
        keys=keys,
        counters=torch.zeros(len(keys), dtype=torch.long),
    )
    share = torch.bincount(picked, minlength=4) / len(keys)
    assert torch.allclose(share, logits.softmax(0), atol=0.012)


def test_keys_differ_by_seed_copy_and_prompt():
    prompts = [torch.tensor([1, 2]), torch.tensor([1, 3])]
    keys = {row_key(seed, prompt, copy) for seed in (0, 1) for prompt in prompts for copy in (0, 1)}
    assert len(keys) == 8 and row_key(0, prompts[0], 0) in keys


def test_top_k_keeps_k_ids_and_top_p_the_fewest_of_that_share():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()[:, [2, 0, 3, 1]]
    assert torch.isfinite(filtered(logits, Sampling(top_k=2))).tolist() == [[False, True, False, True]]
    assert torch.isfinite(filtered(logits, Sampling(top_p=0.79))).tolist() == [[False, True, False, True]]
    assert torch.isfinite(filtered(logits, Sampling(top_p=0.81))).tolist() == [[True, True, False, True]]
    assert torch.isfinite(filtered(logits, Sampling(top_p=1e-9))).sum() == 1


def test_temperature_zero_is_the_most_likely_id():
    picked = pick(
        torch.tensor([[1.0, 3.0, 2.0]]),
        torch.tensor([10, 11, 12]),
        Sampling(temperature=0),
        keys=torch.tensor([1]),
        counters=torch.tensor([0]),
    )
    assert picked.tolist() == [11]


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_divides_the_logits(temperature):
    logits = torch.randn(1, 5)
    assert torch.allclose(filtered(logits, Sampling(temperature=temperature)), logits / temperature)
