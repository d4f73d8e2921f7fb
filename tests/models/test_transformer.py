"""The block is that of each family of language models; the cache and the packing change nothing."""

import pytest
import torch

from tests.models.test_cross_entropy import CODEC, random_batch, tiny_transformer
from tests.tiny_codecs import lay_flat
from tests.tiny_language_models import FAMILIES, ROWS, language_model, ours_of
from unitok.data.batches.packing import pack

FAMILY_TIES = [(kind, tie) for kind in FAMILIES for tie in (False, True)]


@pytest.mark.parametrize("kind, tie", FAMILY_TIES)
@torch.no_grad()
def test_logits_are_those_of_transformers_with_the_same_weights(kind, tie):
    theirs = language_model(kind, tie=tie)
    ours = ours_of(kind, theirs, tie=tie)
    ids = torch.randint(ROWS, (3, 29))
    positions = torch.arange(29)[None, :, None].expand(3, -1, 3)
    expected = theirs(ids).logits
    assert expected.std() > 0.5
    assert (ours.head(ours(ids, positions)) - expected).abs().max() <= 1e-4
    cache = ours.new_cache(3, 29)
    parts = zip(ids.split([20, 8, 1], 1), positions.split([20, 8, 1], 1), strict=True)
    steps = [ours(part, places, cache=cache) for part, places in parts]
    assert (ours.head(torch.cat(steps, 1)) - expected).abs().max() <= 1e-4


@torch.no_grad()
def test_cached_logits_equal_uncached_ones_for_rows_of_different_lengths():
    model = tiny_transformer()
    for weight in model.parameters():
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, std=0.3)
    lengths, tokens = torch.tensor([3, 9, 6, 1]), 14
    ids = torch.randint(CODEC.vocabulary.size, (4, tokens))
    positions = torch.randint(20, (4, tokens, 3)).cumsum(1)
    full = model.head(model(ids, positions))
    cache = model.new_cache(4, tokens)
    prefilled = model.head(model(ids[:, :9], positions[:, :9], cache=cache))
    cache = cache.slice_rows(0, lengths.tolist())
    rows = torch.arange(4)
    assert all((prefilled[r, :n] - full[r, :n]).abs().max() <= 1e-4 for r, n in enumerate(lengths.tolist()))
    for step in range(tokens - int(lengths.max())):
        places = lengths + step
        hidden = model(ids[rows, places][:, None], positions[rows, places][:, None], cache=cache)
        assert (model.head(hidden[:, 0]) - full[rows, places]).abs().max() <= 1e-4
    assert full.std() > 0.3


def test_gradients_from_some_places_are_those_of_a_loss_on_these_alone():
    model = tiny_transformer()
    ids, places = torch.randint(CODEC.vocabulary.size, (3, 8)), torch.tensor([19, 2, 7, 8])
    positions = torch.arange(8)[None, :, None].expand(3, -1, 3)
    wanted = torch.randn(len(places), model.sizes.width)
    gradients = []
    for hidden in (model(ids, positions).flatten(0, 1)[places], model(ids, positions, places=places)):
        (hidden * wanted).sum().backward()
        gradients.append([weight.grad for weight in model.parameters() if weight.grad is not None])
        model.zero_grad()
    assert len(gradients[0]) > 10
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_rows_that_are_moved_shared_and_given_room_go_on_as_before():
    model = tiny_transformer()
    ids = torch.randint(CODEC.vocabulary.size, (3, 8))
    positions = torch.arange(8)[None, :, None].expand(3, -1, 3)
    full, cache = model(ids, positions), model.new_cache(3, 6)
    model(ids[:, :6], positions[:, :6], cache=cache.slice_rows(0, [0, 0, 0]))
    with pytest.raises(ValueError, match="at most 6 tokens, got 6 \\+ 1"):
        model(ids[:, 6:7], positions[:, 6:7], cache=cache.slice_rows(0, [6, 6, 6]))
    cache = cache.enlarge(4, 8)
    cache.copy_row(2, 0, tokens=6)
    cache.copy_rows(1, [0, 0, 0], tokens=6)
    rows = [2, 1, 1, 1]
    rest = model(ids[rows, 6:], positions[:1, 6:].expand(4, -1, -1), cache=cache.slice_rows(0, [6] * 4))
    assert (rest - full[rows, 6:]).abs().max() <= 1e-4
    later = cache.slice_rows(2, [6, 5])
    part = model(ids[[1, 1], 6:7], torch.tensor([[[6] * 3], [[5] * 3]]), cache=later)
    assert (part[0, 0] - full[1, 6]).abs().max() <= 1e-4


@torch.no_grad()
def test_a_packed_document_has_the_hidden_states_of_a_single_one():
    model = tiny_transformer()
    documents, batch = random_batch(count=12)
    packed = model(batch.ids, batch.positions, document=batch.document)
    alone = [pack(lay_flat([d]), length=len(d) - 1, pad=CODEC.vocabulary.pad) for d in documents]
    singles = [model(b.ids, b.positions)[0] for b in alone]
    for row in range(len(batch.ids)):
        for number in range(int(batch.document[row].max()) + 1):
            inside = batch.document[row] == number
            ids = batch.ids[row, inside]
            matches = [s for s, b in zip(singles, alone, strict=True) if torch.equal(b.ids[0], ids)]
            assert any((packed[row, inside] - single).abs().max() <= 1e-4 for single in matches)
    assert torch.isfinite(packed).all()
