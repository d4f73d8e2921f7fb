"""The grouped loss is the masked full softmax, and packing does not change it."""

import random

import pytest
import torch
from torch.nn import functional as F

from tests.tiny_codecs import lay_flat, random_codes, tiny_codec
from unitok.data.batches.packing import IGNORED, pack
from unitok.models import cross_entropy
from unitok.models.cross_entropy import grouped_cross_entropy
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes

CODEC = tiny_codec()
WEIGHTS = {"text": 0.5, "image": 2.0}


def tiny_transformer(codec=CODEC, **changes) -> Transformer:
    sizes = dict(width=24, layers=2, heads=2, kv_heads=1, head_width=8, hidden=32, max_length=96)
    return Transformer(TransformerConfig(TransformerSizes(**{**sizes, **changes}), codec.vocabulary.size))


def random_batch(count=9, seed=0):
    rng = random.Random(seed)
    documents = [CODEC.join(random_codes(CODEC, rng)) for _ in range(count)]
    return documents, pack(lay_flat(documents), length=96, pad=CODEC.vocabulary.pad)


def masked_full_softmax(logits, targets, *, z_loss):
    """Σ weight · (cross-entropy + z) and Σ weight with logits of the whole vocabulary, target by target."""
    total, weight = 0.0, 0.0
    for row, target in zip(logits.flatten(0, 1), targets.flatten().tolist(), strict=True):
        if target == IGNORED:
            continue
        (group,) = [g for g in CODEC.groups if target in g.ids]
        legal = torch.zeros(len(row), dtype=torch.bool)
        legal[list(group.ids)] = True
        masked = row.masked_fill(~legal, -torch.inf)
        scale = WEIGHTS.get(group.modality, 1.0)
        loss = F.cross_entropy(masked[None], torch.tensor([target]))
        total, weight = total + scale * (loss + z_loss * masked.logsumexp(0) ** 2), weight + scale
    return total, weight


@pytest.mark.parametrize("tie", [False, True])
def test_value_and_gradient_equal_the_masked_full_softmax(tie):
    model = tiny_transformer(tie_embeddings=tie)
    _, batch = random_batch()
    hidden = model(batch.ids, batch.positions, document=batch.document)
    sums = grouped_cross_entropy(
        model.unembedding.weight, hidden, batch.targets, CODEC.groups, weights=WEIGHTS, z_loss=0.1
    )
    total, weight = masked_full_softmax(model.head(hidden), batch.targets, z_loss=0.1)
    assert torch.allclose(sums.mean, total / weight, atol=1e-5) and sums.weight.item() == weight
    parameters = list(model.parameters())
    ours = torch.autograd.grad(sums.mean, parameters, retain_graph=True)
    theirs = torch.autograd.grad(total / weight, parameters)
    assert max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True)) <= 1e-5


def test_packed_loss_is_the_sum_of_unpacked_losses():
    model = tiny_transformer()
    documents, batch = random_batch(count=40)
    assert not batch.one_per_row
    packed = _sums(model, batch)
    single = [
        _sums(model, pack(lay_flat([d]), length=len(d) - 1, pad=CODEC.vocabulary.pad)) for d in documents
    ]
    assert packed.total.item() == pytest.approx(sum(s.total.item() for s in single), rel=1e-5)
    assert packed.weight.item() == sum(s.weight.item() for s in single)
    for name in ("structure", "text", "image"):
        expected = sum(float(s.cross_entropy.get(name, 0)) for s in single)
        assert packed.cross_entropy[name].item() == pytest.approx(expected, rel=1e-5)
        assert packed.count[name] == sum(float(s.count.get(name, 0)) for s in single)


def _sums(model, batch):
    with torch.no_grad():
        hidden = model(batch.ids, batch.positions, document=batch.document)
        return grouped_cross_entropy(
            model.unembedding.weight, hidden, batch.targets, CODEC.groups, weights=WEIGHTS, z_loss=1e-3
        )


def test_a_batch_without_learned_tokens_has_no_loss():
    model = tiny_transformer()
    _, batch = random_batch()
    hidden = model(batch.ids, batch.positions, document=batch.document)
    sums = grouped_cross_entropy(
        model.unembedding.weight, hidden, torch.full_like(batch.targets, IGNORED), CODEC.groups
    )
    assert sums.mean == 0 and not sums.count


@pytest.mark.parametrize("among", [False, True], ids=["legal", "full"])
@pytest.mark.parametrize(("text", "image"), [(2_000, 1_000), (140_000, 10_000)], ids=["3k", "150k"])
def test_large_vocabularies_in_chunks_give_the_masked_full_softmax(monkeypatch, text, image, among):
    monkeypatch.setattr(cross_entropy, "MAX_LOGITS", 5 * text)
    torch.manual_seed(0)
    groups = [("text", "text", range(text)), ("image", "image", range(text + 3, text + 3 + image)),
              ("structure", "structure", (text, text + 1, text + image + 3))]  # fmt: skip
    head = (torch.randn(text + image + 4, 16) / 4).requires_grad_()
    hidden = torch.randn(2, 24, 16, requires_grad=True)
    targets = torch.tensor([[0, text - 1, text + 3, text + image + 2, text, -100] * 4] * 2)
    everything = range(len(head)) if among else None
    sums = grouped_cross_entropy(
        head, hidden, targets, groups, among=everything, weights={"image": 3.0}, z_loss=0.01
    )
    ours = torch.autograd.grad(sums.mean, (hidden, head))

    logits, expected = hidden @ head.T, torch.zeros(())
    for name, _, ids in groups:
        legal = torch.ones(len(head), dtype=torch.bool) if among else torch.isin(
            torch.arange(len(head)), torch.tensor(list(ids)))  # fmt: skip
        chosen = torch.isin(targets, torch.tensor(list(ids)))
        masked = logits[chosen].masked_fill(~legal, -torch.inf)
        losses = F.cross_entropy(masked, targets[chosen], reduction="sum")
        expected = expected + (3.0 if name == "image" else 1.0) * (
            losses + 0.01 * masked.logsumexp(1).square().sum()
        )
    theirs = torch.autograd.grad(expected / sums.weight, (hidden, head))
    assert sums.mean.item() == pytest.approx((expected / sums.weight).item(), rel=1e-5)
    assert max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True)) <= 1e-5
    assert sums.square["image"] / sums.count["image"] == pytest.approx(1.0, rel=0.3)


def test_a_gradient_is_taken_once():
    head, hidden = torch.randn(9, 4, requires_grad=True), torch.randn(1, 2, 4, requires_grad=True)
    sums = grouped_cross_entropy(head, hidden, torch.tensor([[3, 4]]), [("a", "a", range(9))])
    sums.total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        sums.total.backward()


def test_a_head_that_is_held_gets_no_gradient():
    head, hidden = torch.randn(9, 4), torch.randn(1, 2, 4, requires_grad=True)
    grouped_cross_entropy(head, hidden, torch.tensor([[3, 4]]), [("a", "a", range(9))]).total.backward()
    assert hidden.grad.abs().max() > 0 and head.grad is None


def test_wrong_tokens_are_counted_among_those_that_compete_where_no_gradient_is_asked_for():
    head = torch.eye(4).requires_grad_()
    hidden = torch.tensor([[[0.0, 1, 9, 0], [1.0, 0, 9, 0], [0.0, 0, 0, 1]]])
    groups = [("a", "a", range(2)), ("b", "b", (2, 3))]
    targets = torch.tensor([[1, 1, 3]])
    with torch.no_grad():
        sums = grouped_cross_entropy(head, hidden, targets, groups)
    assert {name: value.item() for name, value in sums.wrong.items()} == {"a": 1, "b": 0}
    assert grouped_cross_entropy(head, hidden, targets, groups, among=range(4)).wrong["a"] == 0
    with torch.no_grad():
        assert grouped_cross_entropy(head, hidden, targets, groups, among=range(4)).wrong["a"] == 2
