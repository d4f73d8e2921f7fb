"""The block is Qwen3's (and Llama's without QK-norm); the cache and the packing change nothing."""

import pytest
import torch

from tests.models.test_cross_entropy import CODEC, random_batch, tiny_transformer
from tests.tiny_codecs import lay_flat
from unitok.data.batches.packing import pack
from unitok.interop.qwen3 import from_transformers
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes

transformers = pytest.importorskip("transformers")

SIZES = dict(width=48, layers=3, heads=4, kv_heads=2, head_width=16, hidden=80, rope_base=500.0)


def oracle(*, qk_norm: bool, tie: bool, vocab_size: int = 61):
    """A tiny random transformers model of our sizes."""
    name = "Qwen3" if qk_norm else "Llama"
    config = getattr(transformers, f"{name}Config")(
        vocab_size=vocab_size,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        rms_norm_eps=1e-6,
        tie_word_embeddings=tie,
        initializer_range=0.2,
    )
    model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    for weight in model.parameters():
        if weight.ndim == 1:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    return model


def copy_weights(theirs, *, qk_norm: bool, tie: bool) -> Transformer:
    """Our transformer with their weights."""
    ours = Transformer(TransformerConfig(TransformerSizes(**SIZES, qk_norm=qk_norm, tie_embeddings=tie), 61))
    ours.load_state_dict(from_transformers(theirs.state_dict()))
    return ours


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("qk_norm", [True, False])
@torch.no_grad()
def test_logits_are_those_of_transformers_with_the_same_weights(qk_norm, tie):
    theirs = oracle(qk_norm=qk_norm, tie=tie)
    ours = copy_weights(theirs, qk_norm=qk_norm, tie=tie)
    ids = torch.randint(61, (3, 29))
    positions = torch.arange(29)[None, :, None].expand(3, -1, 3)
    logits = ours.head(ours(ids, positions))
    assert logits.std() > 0.5
    assert (logits - theirs(ids).logits).abs().max() <= 1e-4


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


@pytest.mark.parametrize(("changes", "message"), [
    ({"kv_heads": 3}, "kv_heads must divide heads=4, got 3"),
    ({"head_width": 5}, "head_width must be even for rotary positions, got 5"),
])  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TransformerSizes(**{**SIZES, **changes})
