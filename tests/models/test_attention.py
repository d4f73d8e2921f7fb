"""Attention of one query as sums is torch's own."""

import pytest
import torch
from torch.nn import functional

from unitok.models.softmax_attention import _attend_one_query


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("heads, kv_heads", [(4, 4), (6, 2)])
def test_attention_as_sums_is_attention(heads, kv_heads, dtype):
    queries, keys, values = (
        torch.randn(3, h, s, 8).to(dtype) for h, s in ((heads, 1), (kv_heads, 11), (kv_heads, 11))
    )
    mask = torch.arange(11) < torch.tensor([1, 5, 11])[:, None, None, None]
    keys[0, :, 1:], values[0, :, 1:] = 1e4, 1e4  # what is not seen is as if it were not there
    expected = functional.scaled_dot_product_attention(
        queries.double(), keys.double(), values.double(), attn_mask=mask, enable_gqa=True
    )
    actual = _attend_one_query(queries, keys, values, mask)
    assert actual.dtype == dtype and actual.shape == queries.shape
    assert (actual - expected).abs().max() <= {torch.bfloat16: 2e-2, torch.float32: 1e-5}.get(dtype, 1e-12)
