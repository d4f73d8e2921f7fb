"""Bins hold every length once, never too much, and little of them is empty."""

import random

from hypothesis import given
from hypothesis import strategies as st

from unitok.data.batches.bin_packing import best_fit, pack_tightly


@given(st.lists(st.integers(1, 50), max_size=40))
def test_best_fit_places_each_document_once_and_never_overfills(lengths):
    bins = best_fit(lengths, 50)
    assert sorted(i for members in bins for i in members) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in members) <= 50 for members in bins)
    assert len(bins) <= 2 * (sum(lengths) / 50) + 1


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_the_tightest_rows_hold_all_and_are_no_worse_than_full_length_ones(lengths):
    rows, capacity = pack_tightly(lengths, 50)
    assert sorted(i for members in rows for i in members) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in members) <= capacity <= 50 for members in rows)
    assert len(rows) * capacity <= len(best_fit(lengths, 50)) * 50


def test_little_of_a_mixture_is_padding():
    """Images of 64 codes with texts of three lengths, as sets of emoji, questions and captions have."""
    rng = random.Random(0)
    shares = []
    for _ in range(50):
        lengths = [
            64 + 5 + int(rng.choice([rng.gauss(6, 2), rng.gauss(9, 3), rng.gauss(14, 4)])) for _ in range(64)
        ]
        rows, capacity = pack_tightly(lengths, 512)
        shares.append(1 - sum(lengths) / (len(rows) * capacity))
    assert sum(shares) / len(shares) <= 0.02
