"""A head over all ids learns legal and forced ids; each target is in one group."""

import random

from tests.tiny_codecs import random_codes, tiny_codec
from unitok.data.batches.packing import IGNORED, pack
from unitok.document import Codes
from unitok.training.targets import Full, Legal

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
