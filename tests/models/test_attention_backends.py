"""Engines for packed attention give what the dense mask gives, and give way where they cannot run."""

import logging

import pytest
import torch

from tests.models.test_cross_entropy import random_batch, tiny_transformer
from unitok.models.attention_backends import BACKENDS, FlexMask, _block_mask, _flex, packed_mask, run_lengths
from unitok.models.softmax_attention import document_mask


def real_hidden(model, batch):
    return model(batch.ids, batch.positions, document=batch.document)[batch.document >= 0]


@torch.no_grad()
def test_flex_attention_is_the_dense_masks():
    model = tiny_transformer(head_width=16).eval()
    _, batch = random_batch(count=20)
    assert not batch.one_per_row and (batch.document < 0).any()
    dense = real_hidden(model, batch)
    model.packed_mask = lambda document: FlexMask(document, compiled=False)
    assert (real_hidden(model, batch) - dense).abs().max() <= 1e-5


@pytest.mark.parametrize("engine", BACKENDS)
def test_an_engine_that_cannot_run_gives_way_with_one_line(engine, caplog):
    with caplog.at_level(logging.WARNING):
        assert packed_mask(engine, torch.device("cpu")) is document_mask
    (record,) = caplog.records
    assert engine in record.message and "sdpa" in record.message


def test_runs_are_documents_and_padding_row_by_row():
    document = torch.tensor([[0, 0, 1, -1], [0, 0, 0, 0], [-1, -1, -1, -1]])
    assert run_lengths(document) == [2, 1, 1, 4, 4]


@pytest.mark.gpu
@pytest.mark.parametrize("engine", BACKENDS)
def test_engines_and_their_gradients_agree_on_a_gpu(engine):
    device = torch.device("cuda")
    if (lack := BACKENDS[engine].lacks(device)) is not None:
        pytest.skip(lack)
    model = tiny_transformer(head_width=32, width=64).to(device)
    _, batch = random_batch(count=20)
    batch = type(batch)(*(part.to(device) for part in batch[:4]))
    results = []
    for mask in (document_mask, packed_mask(engine, device)):
        model.packed_mask = mask
        hidden = real_hidden(model, batch)
        results.append((hidden, *torch.autograd.grad(hidden.square().mean(), model.blocks.parameters())))
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).abs().max() <= 1e-3


@pytest.fixture
def nothing_compiled_before():
    for function in (_block_mask, _flex):
        function.cache_clear()
    yield
    for function in (_block_mask, _flex):
        function.cache_clear()


def test_on_a_gpu_the_blocks_and_the_kernel_are_compiled_once(monkeypatch, nothing_compiled_before):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda made: compiled.append(made.__name__) or made)
    document = torch.tensor([[0, 0, 1, -1] * 32])
    masks = [FlexMask(document, compiled=kind).blocks.to_dense() for kind in (True, True, False)]
    assert compiled == ["create_block_mask", "flex_attention"] and torch.equal(masks[0], masks[2])
