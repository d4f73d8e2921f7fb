"""Packing loses no pair, crosses no document, and wastes little."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worlds import random_codes, tiny_codec
from unitok.data.packing import IGNORED, best_fit, pack, tightest

CODEC = tiny_codec()


@given(st.lists(st.integers(1, 50), max_size=40))
def test_best_fit_places_each_document_once_and_never_overfills(lengths):
    bins = best_fit(lengths, 50)
    assert sorted(i for members in bins for i in members) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in members) <= 50 for members in bins)
    assert len(bins) <= 2 * (sum(lengths) / 50) + 1


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_the_tightest_rows_hold_all_and_are_no_worse_than_full_length_ones(lengths):
    rows, capacity = tightest(lengths, 50)
    assert sorted(i for members in rows for i in members) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in members) <= capacity <= 50 for members in rows)
    assert len(rows) * capacity <= len(best_fit(lengths, 50)) * 50


def test_little_of_a_mixture_is_padding():
    """Pictures of 64 codes with texts of three lengths, as sets of emoji, questions and captions have."""
    rng = random.Random(0)
    shares = []
    for _ in range(50):
        lengths = [
            64 + 5 + int(rng.choice([rng.gauss(6, 2), rng.gauss(9, 3), rng.gauss(14, 4)])) for _ in range(64)
        ]
        rows, capacity = tightest(lengths, 512)
        shares.append(1 - sum(lengths) / (len(rows) * capacity))
    assert sum(shares) / len(shares) <= 0.02


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 12))
def test_every_pair_of_every_document_is_there_once(seed, count):
    rng = random.Random(seed)
    documents = [CODEC.join(random_codes(CODEC, rng)) for _ in range(count)]
    batch = pack(documents, length=96, pad=CODEC.vocabulary.pad)
    packed = sorted(
        (batch.ids[r, t].item(), batch.targets[r, t].item(), *batch.positions[r, t].tolist())
        for r, t in (batch.document >= 0).nonzero().tolist()
    )
    wanted = sorted(
        (d.ids[t].item(), d.ids[t + 1].item() if d.learn[t + 1] else IGNORED, *d.positions[t].tolist())
        for d in documents
        for t in range(len(d) - 1)
    )
    assert packed == wanted
    assert (batch.targets[batch.document < 0] == IGNORED).all()


def test_a_document_longer_than_a_row_is_refused_with_both_numbers():
    tokens = CODEC.join(random_codes(CODEC, random.Random(3)))
    with pytest.raises(ValueError, match=rf"takes {len(tokens) - 1} places; a row has 2"):
        pack([tokens], length=2, pad=CODEC.vocabulary.pad)


def test_padding_is_reported():
    tokens = CODEC.join([])
    batch = pack([tokens], length=4, pad=CODEC.vocabulary.pad)
    assert len(tokens) == 2 and batch.padding == 0.75 and batch.one_per_row
    assert torch.equal(
        batch.targets[0], torch.tensor([CODEC.vocabulary.document_end, IGNORED, IGNORED, IGNORED])
    )
