"""Attention for training by matrix products, a block of queries at a time. Knows no documents.

On a CPU without matrix units for bfloat16 the flash kernel runs at a fraction of the peak rate, above all in
its backward pass. Products of a block of queries with all keys before them are large enough for the BLAS
library, and what no query of a block sees is never computed: half of the square, where attention is causal.
The price is memory for the probabilities: b h t² / 2 numbers per layer.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 128
"""Queries per block."""


@torch.compiler.disable  # no faster when compiled, and recompiled for every row length
def attend_blockwise(
    queries: Float[Tensor, "b h t w"],
    keys: Float[Tensor, "b h t w"],
    values: Float[Tensor, "b h t w"],
    mask: Bool[Tensor, "#b 1 t t"] | None,
    causal: bool = True,
) -> Float[Tensor, "b h t w"]:
    """Softmax attention under a mask; None is plain causal attention.

    `causal` is whether the mask hides all later keys, which are then never looked for.
    """
    reach = _causal_reach(queries.shape[2]) if causal else _reach(mask)
    return _Blockwise.apply(queries, keys, values, mask, reach)


class _Blockwise(torch.autograd.Function):
    """Forward saves each block's probabilities for backward."""

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, reach: list[int]
    ) -> Tensor:
        q, k, v = (x.flatten(0, 1) for x in (queries, keys, values))
        out, saved = torch.empty_like(q), []
        for (start, end), seen in zip(_blocks(q.shape[1]), reach, strict=True):
            scores = _products(q[:, start:end], k[:, :seen].mT, scale=_scale(q))
            _mask_scores(scores.view(*queries.shape[:2], end - start, seen), start, end, mask)
            probabilities = scores.softmax(dim=-1)
            out[:, start:end] = probabilities @ v[:, :seen]
            saved.append(probabilities)
        ctx.reach = reach
        ctx.save_for_backward(q, k, v, *saved)
        return out.view(queries.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, *saved = ctx.saved_tensors
        g = gradient.flatten(0, 1)
        by_q = torch.empty_like(q)
        by_k, by_v = (torch.zeros_like(x, dtype=torch.promote_types(x.dtype, torch.float32)) for x in (k, v))
        blocks = zip(_blocks(q.shape[1]), ctx.reach, saved, strict=True)
        for (start, end), seen, probabilities in blocks:
            by_v[:, :seen] += probabilities.mT @ g[:, start:end]
            by_probabilities = g[:, start:end] @ v[:, :seen].mT
            by_scores = torch._softmax_backward_data(by_probabilities, probabilities, -1, q.dtype)
            by_q[:, start:end] = _products(by_scores, k[:, :seen], scale=_scale(q))
            by_k[:, :seen] += _products(by_scores.mT, q[:, start:end], scale=_scale(q))
        by_q, by_k, by_v = (x.to(q.dtype).view(gradient.shape) for x in (by_q, by_k, by_v))
        return by_q, by_k, by_v, None, None


def _blocks(tokens: int) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK, tokens)) for start in range(0, tokens, BLOCK)]


def _causal_reach(tokens: int) -> list[int]:
    """How many keys each block sees at most, where no query sees a later one."""
    return [end for _, end in _blocks(tokens)]


def _reach(mask: Bool[Tensor, "#b 1 t t"]) -> list[int]:
    """How many keys each block sees at most."""
    seen = mask.flatten(0, 1).any(0)
    return [int(seen[start:end].any(0).nonzero().max()) + 1 for start, end in _blocks(mask.shape[-1])]


def _scale(queries: Tensor) -> float:
    return queries.shape[-1] ** -0.5


def _products(
    a: Float[Tensor, "n t w"], b: Float[Tensor, "n w s"], *, scale: float
) -> Float[Tensor, "n t s"]:
    """Returns scale · a b, without a separate pass for the scale."""
    return torch.baddbmm(a.new_empty(()), a, b, beta=0, alpha=scale)


def _mask_scores(scores: Float[Tensor, "b h t s"], start: int, end: int, mask: Tensor | None) -> None:
    """Set the scores of keys that a block of queries must not attend to to -inf."""
    if mask is None:
        later = torch.ones(end - start, end - start, dtype=torch.bool, device=scores.device).triu(1)
        scores[..., start:].masked_fill_(later, -torch.inf)
    else:
        scores.masked_fill_(~mask[:, :, start:end, : scores.shape[-1]], -torch.inf)
