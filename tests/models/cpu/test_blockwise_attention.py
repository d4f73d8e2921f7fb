"""Attention by blocks of queries is the fused kernel's, in value and gradient, compiled or not."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from unitok.models import softmax_attention
from unitok.models.cpu import blockwise_attention
from unitok.models.cpu.blockwise_attention import attend_blockwise
from unitok.models.softmax_attention import choose_attend, document_mask


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blockwise_attention, "BLOCK", 8)


def heads(kv_heads: int = 4, tokens: int = 21, **options) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(3, h, tokens, 8, requires_grad=True, **options) for h in (4, kv_heads, kv_heads)]


def attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask) -> torch.Tensor:
    """As each layer attends."""
    chosen = choose_attend(mask, tokens=queries.shape[2], device=queries.device)
    return chosen(queries, keys, values, mask)


def documents() -> torch.Tensor:
    return document_mask(torch.arange(21).expand(3, -1) // torch.tensor([[5], [8], [30]]))


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("mask", [documents(), documents()[:1], None], ids=["each", "shared", "causal"])
def test_value_and_gradient_equal_the_fused_kernel(kv_heads, mask):
    inputs = heads(kv_heads, dtype=torch.float64)
    ours = attend(*inputs, mask)
    assert "Blockwise" in type(ours.grad_fn).__name__
    fused = scaled_dot_product_attention(*inputs, attn_mask=mask, is_causal=mask is None, enable_gqa=True)
    assert (ours - fused).abs().max() <= 1e-12
    gradients = [torch.autograd.grad(x.square().sum(), inputs) for x in (ours, fused)]
    assert all((a - b).abs().max() <= 1e-12 for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("tokens", [1, 7, 8, 9, 16])
def test_rows_of_any_length_have_right_gradients(tokens):
    inputs = [x.detach()[:1, :1].requires_grad_() for x in heads(tokens=tokens, dtype=torch.float64)]
    assert torch.autograd.gradcheck(lambda *x: attend_blockwise(*x, None), inputs)


def test_bfloat16_is_as_near_as_its_numbers_are():
    exact = [x.detach().bfloat16() for x in heads()]
    expected = scaled_dot_product_attention(*(x.double() for x in exact), is_causal=True)
    inputs = [x.requires_grad_() for x in exact]
    ours = attend(*inputs, None)
    assert (
        ours.dtype == torch.bfloat16
        and (ours.double() - expected).abs().mean() <= 2**-8 * expected.abs().mean()
    )
    ours.float().square().sum().backward()
    assert all(x.grad.dtype == torch.bfloat16 and x.grad.isfinite().all() for x in inputs)


@pytest.mark.slow
def test_compiled_it_is_the_same():
    inputs = heads()
    ours = torch.compile(attend, backend="aot_eager")(*inputs, documents())
    plain = attend(*inputs, documents())
    gradients = [torch.autograd.grad(x.square().sum(), inputs) for x in (ours, plain)]
    assert torch.equal(ours, plain) and all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_it_is_for_training_whole_rows_of_moderate_length(monkeypatch):
    monkeypatch.setattr(softmax_attention, "attend_blockwise", lambda *_: pytest.fail("not here"))
    inputs = heads()
    with torch.no_grad():
        attend(*inputs, None)
    queries = inputs[0][:, :, :2]
    attend(queries, *inputs[1:], torch.ones(3, 1, 2, 21, dtype=torch.bool))  # as with a cache
    monkeypatch.setattr(softmax_attention, "MAX_BLOCKWISE", 20)
    attend(*inputs, None)
