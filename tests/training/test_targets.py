"""A head over all ids learns legal and forced ids; each target is in one group."""

import random

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny_codecs import random_codes, tiny_codec
from unitok.data.batches.packing import IGNORED, pack
from unitok.document import Codes
from unitok.training.targets import SHAPES, Full, Legal, learned_places

CODEC = tiny_codec()


def test_a_full_head_also_learns_the_ends_of_learned_images():
    rng, words = random.Random(0), CODEC.vocabulary
    documents = [
        [Codes(c.modality, c.codes, c.shape, rng.random() < 0.7) for c in random_codes(CODEC, rng)]
        for _ in range(60)
    ]
    batch = pack(CODEC.lay_out(documents), length=96, pad=words.pad)
    legal, full = Legal(CODEC).objective(batch), Full(CODEC).objective(batch)
    assert legal.targets is batch.targets and legal.among is None and full.among == range(words.size)
    new = full.targets != legal.targets
    assert (legal.targets[new] == IGNORED).all() and (full.targets[new] == words.end("image")).all()
    learned = sum(c.modality == "image" and c.learn for codes in documents for c in codes)
    assert int(new.sum()) == learned > 0
    for target in full.targets[full.targets != IGNORED].tolist():
        assert sum(target in group[2] for group in full.groups) == 1


@given(rows=st.integers(1, 9), tokens=st.integers(1, 90), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_places_are_the_learned_ones_and_as_few_others_as_make_whole_blocks(rows, tokens, share, seed):
    random_numbers = torch.Generator().manual_seed(seed)
    learned = torch.rand(rows, tokens, generator=random_numbers) < share
    targets = torch.where(learned, 7, IGNORED)
    places, count = learned_places(targets), int(learned.sum())
    if places is None:
        assert count > rows * tokens - SHAPES or rows * tokens <= SHAPES
        return
    assert places.numel() == len(places.unique()) and places.numel() % SHAPES == 0
    assert places.numel() - count < SHAPES or count == 0
    assert int(learned.flatten()[places].sum()) == count
