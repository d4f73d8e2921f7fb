"""Prepacked weights give the products of plain ones, and follow them."""

import gc
from weakref import ref

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.models.test_cross_entropy import tiny_transformer
from unitok.models.cpu.linear import Linear
from unitok.models.cpu.packed_weights import (
    PrepackedLinear,
    PrepackedWeight,
    compiles,
    prepacked,
    with_prepacked,
)
from unitok.models.transformer_config import BlockVariant

needs_layout = pytest.mark.skipif(
    not PrepackedWeight.helps(torch.zeros(8, 8, dtype=torch.bfloat16)),
    reason="no products of prepacked bfloat16 here",
)


def layer(inputs: int = 24, outputs: int = 70) -> Linear:
    return Linear(inputs, outputs).bfloat16().requires_grad_(False)


def test_only_bfloat16_that_tells_of_its_changes_is_packed():
    weight = torch.zeros(8, 8)
    assert not PrepackedWeight.helps(weight)
    with torch.inference_mode():
        assert not PrepackedWeight.helps(weight.bfloat16())


@needs_layout
@pytest.mark.parametrize("inputs", [17, 64])
@pytest.mark.parametrize("rows", [1, 5, 8, 33])
def test_packed_weights_give_the_same_products(rows, inputs):
    weight, x = torch.randn(70, inputs).bfloat16(), torch.randn(rows, inputs).bfloat16()
    actual, expected = PrepackedWeight(weight, range(3, 70))(x), functional.linear(x, weight[3:])
    torch.testing.assert_close(actual, expected, rtol=1e-2, atol=1e-2)


@needs_layout
def test_a_weight_is_packed_once_until_it_changes():
    some, x = layer(), torch.randn(5, 24).bfloat16()
    first = prepacked(some, range(9, 70))
    assert prepacked(some, range(9, 70)) is first and prepacked(some, range(8, 70)) is not first
    some.weight.mul_(2)
    torch.testing.assert_close(prepacked(some, range(9, 70))(x), 2 * first(x))
    some.weight = nn.Parameter(some.weight.clone())
    assert not first.matches(some.weight)


@needs_layout
def test_a_packed_weight_goes_with_its_layer():
    some = layer()
    copy = ref(prepacked(some, range(70)))
    assert copy() is not None
    del some
    gc.collect()
    assert copy() is None


@pytest.mark.slow
@needs_layout
def test_a_model_with_packed_layers_shares_all_else_and_follows_its_weights():
    if not compiles():
        pytest.skip("inductor has no product of prepacked weights")
    model = nn.Sequential(layer(), nn.Sequential(layer(70, 24), nn.RMSNorm(24).bfloat16()))
    other, x = with_prepacked(model, model[1]), torch.randn(2, 3, 24).bfloat16()
    assert other[0] is model[0] and other[1][1] is model[1][1] and other[1][0].weight is model[1][0].weight
    assert isinstance(other[1][0], PrepackedLinear) and isinstance(model[1][0], Linear)
    torch.testing.assert_close(other(x), model(x), rtol=2e-2, atol=2e-2)
    assert not other[1][0].stale
    model[1][0].weight[:12] = 0
    assert other[1][0].stale
    other[1][0].renew()
    torch.testing.assert_close(other(x), model(x), rtol=2e-2, atol=2e-2)


@pytest.mark.slow
@needs_layout
@pytest.mark.parametrize("more", [{"qkv_bias": True}, {"visual_rank": 2}])
@torch.no_grad()
def test_a_transformer_with_biases_or_updates_decodes_alike_with_packed_layers(more):
    if not compiles():
        pytest.skip("inductor has no product of prepacked weights")
    model = tiny_transformer(variant=BlockVariant(**more)).bfloat16().requires_grad_(False)
    for block in model.blocks:
        for bias in block.attention.qkv_bias.parameters():
            nn.init.normal_(bias)
    packed, ids = with_prepacked(model, model.blocks), torch.arange(12).view(2, 6)
    assert isinstance(packed.blocks[0].attention.qkv, PrepackedLinear)
    positions = torch.arange(6)[None, :, None].expand(2, -1, 3)
    torch.testing.assert_close(packed(ids, positions), model(ids, positions), rtol=3e-2, atol=3e-2)


def test_a_model_without_such_layers_stays_itself():
    model = nn.Sequential(nn.RMSNorm(4), Linear(4, 4))
    assert with_prepacked(model, model) is model
