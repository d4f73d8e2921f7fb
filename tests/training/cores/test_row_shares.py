"""Rows in shares have the loss and the gradients of the whole batch, in one process and in several."""

from contextlib import nullcontext

import pytest
import torch

from unitok.data.batches.packing import IGNORED, Batch
from unitok.models.cross_entropy import LossSums, add_sums, grouped_cross_entropy
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.training.cores.row_shares import RowShares, WholeBatch
from unitok.training.cores.workers import Workers

GROUPS = [("text", "text", range(10)), ("image", "image", range(12, 28))]
SIZES = TransformerSizes(width=16, layers=2, heads=2, kv_heads=1, head_width=8, hidden=24, max_length=32)


def batch(rows: int, seed: int = 0) -> Batch:
    """Rows of two documents, some of whose ids have no loss."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(28, (rows, 13), generator=generator)
    positions = torch.arange(12)[None, :, None].expand(rows, -1, 3)
    document = (torch.arange(12) > 6).long().expand(rows, -1)
    targets = ids[:, 1:].where(ids[:, 1:] != 3, IGNORED)
    return Batch(ids[:, :-1], positions, document, targets)


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(SIZES, 30))


def loss_of(model: Transformer):
    def loss(rows: Batch, complete: Batch) -> LossSums:
        hidden = model(rows.ids, rows.positions, document=rows.document)
        head = model.unembedding.weight
        return grouped_cross_entropy(head, hidden, complete.targets, GROUPS, z_loss=1e-3)

    return loss


def gradients(model: Transformer, rows: WholeBatch | RowShares, given: Batch) -> tuple[LossSums, list]:
    """The sums and gradients of a batch."""
    model.zero_grad()
    sums = rows.sums(given, given)
    sums.total.backward()
    rows.add_gradients()
    return sums, [weight.grad.clone() for weight in model.parameters()]


@pytest.fixture
def shares(model):
    workers = Workers(2)
    yield RowShares(workers, loss_of(model), model.parameters(), precision=nullcontext)
    workers.close()


def test_shares_have_the_loss_and_the_gradients_of_the_whole_batch(model, shares):
    for seed in range(3):  # first in this process, then in three
        given = batch(7, seed)
        expected, whole = gradients(model, WholeBatch(loss_of(model)), given)
        sums, found = gradients(model, shares, given)
        assert shares.workers.started == (seed > 0)
        assert sums.count == expected.count and sums.weight == expected.weight
        torch.testing.assert_close(sums.total, expected.total, rtol=1e-6, atol=0)
        torch.testing.assert_close(sums.cross_entropy, expected.cross_entropy, rtol=1e-6, atol=0)
        torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)


def test_one_process_computes_the_same_bits_as_several(model, shares):
    given = batch(6)
    _, alone = gradients(model, shares, given)
    _, together = gradients(model, shares, given)
    assert shares.workers.started and all(map(torch.equal, alone, together))


def test_workers_see_each_step_of_the_weights(model, shares):
    given = batch(6)
    gradients(model, shares, given)
    for _ in range(2):
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 0.1)
        _, found = gradients(model, shares, given)
        _, whole = gradients(model, WholeBatch(loss_of(model)), given)
        torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)


def test_gradients_of_several_batches_add_up(model, shares):
    given = [batch(6, seed) for seed in range(3)]
    whole = WholeBatch(loss_of(model))
    expected = [sum(parts) for parts in zip(*(gradients(model, whole, one)[1] for one in given), strict=True)]
    model.zero_grad()
    for one in given:
        shares.sums(one, one).total.backward()
        shares.add_gradients()
    found = [weight.grad for weight in model.parameters()]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_batch_of_fewer_rows_than_processes(model, shares, rows):
    gradients(model, shares, batch(5))
    expected, whole = gradients(model, WholeBatch(loss_of(model)), batch(rows))
    sums, found = gradients(model, shares, batch(rows))
    assert sums.count == expected.count
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)


def test_frozen_weights_get_no_gradient(model):
    model.blocks[0].requires_grad_(False)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    shares = RowShares(Workers(1), loss_of(model), weights, precision=nullcontext)
    for _ in range(2):
        model.zero_grad()
        shares.sums(batch(4), batch(4)).total.backward()
        shares.add_gradients()
    assert all(weight.grad is None for weight in model.blocks[0].parameters())
    assert all(weight.grad is not None for weight in weights)
    shares.close()


def test_threads_are_restored(model):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        shares = RowShares(Workers(1), loss_of(model), model.parameters(), precision=nullcontext)
        sums = shares.sums(batch(4), batch(4))
        assert torch.get_num_threads() == 1
        sums.total.backward()
        shares.add_gradients()
        assert torch.get_num_threads() == 2
        shares.close()
    finally:
        torch.set_num_threads(before)


def test_sums_of_parts_with_other_modalities(model):
    parts = [loss_of(model)(rows, rows) for rows in (batch(3), batch(3, 1))]
    only_text = parts[1]._replace(count={"text": torch.tensor(2.0)})
    assert add_sums([parts[0], only_text]).count == {
        "text": parts[0].count["text"] + 2,
        "image": parts[0].count["image"],
    }
