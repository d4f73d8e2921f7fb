"""Packing loses no pair, crosses no document, and wastes little."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny_codecs import lay_flat, random_codes, tiny_codec
from unitok.data.batches.packing import IGNORED, pack

CODEC = tiny_codec()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 12))
def test_every_pair_of_every_document_is_there_once(seed, count):
    rng = random.Random(seed)
    documents = [CODEC.join(random_codes(CODEC, rng)) for _ in range(count)]
    batch = pack(lay_flat(documents), length=96, pad=CODEC.vocabulary.pad)
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
    with pytest.raises(ValueError, match=rf"must be at most 2, got {len(tokens) - 1}"):
        pack(lay_flat([tokens]), length=2, pad=CODEC.vocabulary.pad)


def test_padding_is_reported():
    tokens = CODEC.join([])
    batch = pack(lay_flat([tokens]), length=4, pad=CODEC.vocabulary.pad)
    assert len(tokens) == 2 and batch.padding == 0.75 and batch.one_per_row
    assert torch.equal(
        batch.targets[0], torch.tensor([CODEC.vocabulary.document_end, IGNORED, IGNORED, IGNORED])
    )
