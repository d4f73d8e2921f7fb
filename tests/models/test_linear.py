"""Products of few rows are those of many, whichever way they take."""

import pytest
import torch
from torch.nn import functional

from unitok.models.linear import Packed, _summed, project


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(1,), (1, 1), (2, 1), (1, 2), (3, 1), (2, 4), (2, 5), ()])
@torch.no_grad()
def test_products_of_few_rows_are_those_of_many(shape, dtype):
    x, weight = torch.randn(*shape, 24).to(dtype), torch.randn(7, 24).to(dtype)
    wanted = torch.nn.functional.linear(x.double(), weight.double())
    found = project(x, weight)
    assert found.shape == wanted.shape and found.dtype == dtype
    assert (found - wanted).abs().max() <= (0.1 if dtype == torch.bfloat16 else 1e-5)


@pytest.mark.parametrize("outputs", [7, 8])
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_sums_side_by_side_are_products(dtype, rows, outputs):
    x, weight = torch.randn(rows, 24).to(dtype), torch.randn(outputs, 24).to(dtype)
    wanted = torch.nn.functional.linear(x.double(), weight.double())
    assert (_summed(x, weight) - wanted).abs().max() <= (0.1 if dtype == torch.bfloat16 else 1e-5)


@pytest.mark.parametrize("inputs", [17, 64])
@pytest.mark.parametrize("rows", [5, 8, 33])
def test_packed_weights_give_the_same_products(rows, inputs):
    weight, x = torch.randn(70, inputs, dtype=torch.bfloat16), torch.randn(rows, inputs, dtype=torch.bfloat16)
    if not Packed.helps(x, weight):
        pytest.skip("no products of packed bfloat16 here")
    assert not Packed.helps(x.float(), weight.float()) and not Packed.helps(x[:4], weight)
    with torch.inference_mode():
        assert not Packed.helps(x, weight.clone())
    part = weight[3:]  # as a head's legal block is a part of it
    packed = Packed(part, rows=8)
    torch.testing.assert_close(packed(x), functional.linear(x, part), rtol=1e-2, atol=1e-2)
    assert packed.holds(weight[3:]) and not packed.holds(weight[4:])
    weight.mul_(2)
    assert not packed.holds(weight[3:])
