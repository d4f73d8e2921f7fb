"""Noise depends on its key alone and has the right distribution; filters keep what they say."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unitok.generation.sampling import Sampling, filter_logits, gumbel, noise_key, sample_ids

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
    keys = torch.tensor([noise_key(0, torch.tensor([1, 2]), copy) for copy in range(20_000)])
    picked = sample_ids(
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
    keys = {noise_key(seed, prompt, copy) for seed in (0, 1) for prompt in prompts for copy in (0, 1)}
    assert len(keys) == 8 and noise_key(0, prompts[0], 0) in keys


def test_top_k_keeps_k_ids_and_top_p_the_fewest_of_that_share():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()[:, [2, 0, 3, 1]]
    assert torch.isfinite(filter_logits(logits, Sampling(top_k=2))).tolist() == [[False, True, False, True]]
    assert torch.isfinite(filter_logits(logits, Sampling(top_p=0.79))).tolist() == [
        [False, True, False, True]
    ]
    assert torch.isfinite(filter_logits(logits, Sampling(top_p=0.81))).tolist() == [[True, True, False, True]]
    assert torch.isfinite(filter_logits(logits, Sampling(top_p=1e-9))).sum() == 1


def test_temperature_zero_is_the_most_likely_id():
    picked = sample_ids(
        torch.tensor([[1.0, 3.0, 2.0]]),
        torch.tensor([10, 11, 12]),
        Sampling(temperature=0),
        keys=torch.tensor([1]),
        counters=torch.tensor([0]),
    )
    assert picked.tolist() == [11]


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_divides_the_logits(temperature):
    logits = torch.randn(3, 5)
    actual = filter_logits(logits, Sampling(temperature=temperature)).log_softmax(dim=-1)
    assert torch.allclose(actual, (logits / temperature).log_softmax(dim=-1), atol=1e-6)


@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, -torch.inf]), min_size=1, max_size=12).filter(
        lambda row: max(row) >= 0
    ),
    st.integers(1, 12),
)
def test_top_k_keeps_k_of_ids_that_are_equally_likely(row, count):
    logits = torch.tensor([row, row[::-1]])
    for kept, values in zip(
        filter_logits(logits, Sampling(top_k=count)).isfinite().tolist(), logits.tolist(), strict=True
    ):
        ordered = sorted(range(len(row)), key=lambda i: (-values[i], i))
        expected = {i for i in ordered[:count] if values[i] > -torch.inf}
        assert {i for i, one in enumerate(kept) if one} == expected


def test_top_p_keeps_the_first_of_ids_that_are_equally_likely():
    logits = torch.zeros(1, 1000)
    kept = filter_logits(logits, Sampling(top_p=0.1)).isfinite()[0]
    assert kept[:99].all() and not kept[101:].any()


@pytest.mark.parametrize("temperature", [1e-30, 1e-38, 1e-39, 1e-45, 1e-46, 1e-300, 5e-324])
@pytest.mark.parametrize("more", [{}, {"top_k": 2}, {"top_p": 0.5}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_smallest_temperatures_are_as_none(temperature, more, dtype):
    logits = torch.tensor(
        [[-1e4, 30.0, 31.0, -torch.inf], [1e-3, 0.0, 0.0, 2e-3], [5.0, 1e30, 1e30, 0.0]], dtype=dtype
    )
    actual = filter_logits(logits.float(), Sampling(temperature=temperature, **more))
    assert not actual.isnan().any() and (actual.amax(dim=-1) == 0).all()
    drawn = draw(logits.float(), Sampling(temperature=temperature, **more))
    assert drawn[:2] == [2, 3] and drawn[2] in (1, 2)


def draw(logits, sampling) -> list[int]:
    rows = torch.arange(len(logits))
    return sample_ids(logits, torch.arange(logits.shape[1]), sampling, keys=rows, counters=rows).tolist()


def test_a_device_without_float64_draws_the_same_distribution(monkeypatch):
    def missing(tensor, *_, **__):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    keys, ids = torch.arange(4000), torch.arange(40)
    exact = gumbel(keys, keys, ids)
    monkeypatch.setattr("unitok.generation.sampling.widest_float", lambda device: torch.float32)
    monkeypatch.setattr(torch.Tensor, "double", missing)
    actual = gumbel(keys, keys, ids)
    assert actual.dtype is torch.float32 and actual.isfinite().all()
    assert torch.allclose(actual.clamp(max=6), exact.clamp(max=6), atol=1e-3)
    assert actual.std().isclose(torch.tensor(1.2825), atol=0.02)


def test_the_noise_at_both_ends_is_finite(monkeypatch):
    for exact in (torch.float64, torch.float32):
        monkeypatch.setattr("unitok.generation.sampling.widest_float", lambda device, exact=exact: exact)
        for bits in (0, -1):  # no bit set, and all of them
            monkeypatch.setattr(
                "unitok.generation.sampling._mix", lambda x, bits=bits: torch.full_like(x, bits)
            )
            assert gumbel(torch.tensor([1]), torch.tensor([1]), torch.tensor([1])).isfinite().all()
