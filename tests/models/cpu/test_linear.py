"""Products of few rows are those of many, whichever way they take."""

import pytest
import torch

from unitok.models.cpu.linear import _project_by_sums, project


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(1,), (1, 1), (2, 1), (1, 2), (3, 1), (2, 4), (2, 5), ()])
@torch.no_grad()
def test_products_of_few_rows_are_those_of_many(shape, dtype):
    x, weight = torch.randn(*shape, 24).to(dtype), torch.randn(7, 24).to(dtype)
    expected = torch.nn.functional.linear(x.double(), weight.double())
    actual = project(x, weight)
    assert actual.shape == expected.shape and actual.dtype == dtype
    assert (actual - expected).abs().max() <= (0.1 if dtype == torch.bfloat16 else 1e-5)


@pytest.mark.parametrize("outputs", [7, 8])
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_sums_side_by_side_are_products(dtype, rows, outputs):
    x, weight = torch.randn(rows, 24).to(dtype), torch.randn(outputs, 24).to(dtype)
    expected = torch.nn.functional.linear(x.double(), weight.double())
    assert (_project_by_sums(x, weight) - expected).abs().max() <= (0.1 if dtype == torch.bfloat16 else 1e-5)
