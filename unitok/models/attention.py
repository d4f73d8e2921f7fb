"""Grouped-query attention with QK-norm per head and rotary positions. Knows masks, not documents."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.cpu.blockwise_attention import attend_blockwise
from unitok.models.cpu.linear import Linear
from unitok.models.kv_cache import CacheView
from unitok.models.rotary import rotate

MAX_BLOCKWISE = 2048
"""Maximum row length for blockwise attention on CPUs: probabilities of longer rows take much memory."""


def document_mask(document: Int64[Tensor, "b t"]) -> Bool[Tensor, "b 1 t t"]:
    """Causal attention within each document; padding (-1) attends to itself only, so that no row is empty."""
    tokens = document.shape[1]
    causal = torch.ones(tokens, tokens, dtype=torch.bool, device=document.device).tril()
    same = document[:, :, None] == document[:, None, :]
    padding = (document < 0)[:, :, None]
    itself = torch.eye(tokens, dtype=torch.bool, device=document.device)
    return (causal & torch.where(padding, itself, same)).unsqueeze(1)


class PackedMask(ABC):
    """The equivalent of `document_mask` for another attention backend."""

    @abstractmethod
    def attend(
        self,
        queries: Float[Tensor, "b h t w"],
        keys: Float[Tensor, "b g t w"],
        values: Float[Tensor, "b g t w"],
    ) -> Float[Tensor, "b h t w"]: ...


def attend(
    queries: Float[Tensor, "b h t w"],
    keys: Float[Tensor, "b g s w"],
    values: Float[Tensor, "b g s w"],
    mask: Bool[Tensor, "#b 1 t s"] | PackedMask | None,
) -> Float[Tensor, "b h t w"]:
    """Softmax attention under `mask`, which must be causal itself; plain causal attention if it is None."""
    if isinstance(mask, PackedMask):
        return mask.attend(queries, keys, values)
    if _is_cpu_training(queries, keys):
        copies = queries.shape[1] // keys.shape[1]
        if copies > 1:
            keys, values = (x.repeat_interleave(copies, dim=1) for x in (keys, values))
        return attend_blockwise(queries, keys, values, mask)
    on_cpu = queries.device.type == "cpu"
    if torch.compiler.is_compiling() and on_cpu and queries.shape[2] == 1 and mask is not None:
        return _attend_one_query(queries, keys, values, mask)
    dtype, grouped = queries.dtype, queries.shape[1] != keys.shape[1]
    if on_cpu and dtype.itemsize == 2:  # 2 to 5 times as fast for one query
        queries, keys, values = queries.float(), keys.float(), values.float()
    return F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped
    ).to(dtype)


def _is_cpu_training(queries: Tensor, keys: Tensor) -> bool:
    uncached = keys.shape[2] == queries.shape[2] <= MAX_BLOCKWISE
    return uncached and queries.device.type == "cpu" and torch.is_grad_enabled()


def _attend_one_query(
    queries: Float[Tensor, "b h 1 w"],
    keys: Float[Tensor, "b g s w"],
    values: Float[Tensor, "b g s w"],
    mask: Bool[Tensor, "#b 1 1 s"],
) -> Float[Tensor, "b h 1 w"]:
    """Attention of one query as plain sums, which inductor compiles to loops.

    They read each key and value once, in place; torch's kernel needs another precision or is slow, and reads
    copies.
    """
    wide = torch.promote_types(queries.dtype, torch.float32)
    query = queries.to(wide).unflatten(1, (keys.shape[1], -1))  # b g c 1 w
    keys, values = keys.to(wide).unsqueeze(2), values.to(wide).unsqueeze(2)  # b g 1 s w
    scores = (query * keys).sum(-1) * queries.shape[-1] ** -0.5
    scores = scores.where(mask, -torch.inf)  # b g c s
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    # dividing here costs once per head; at the end, once per row of the next projection's weights
    probabilities = weights * weights.sum(-1, keepdim=True).reciprocal()
    return (probabilities.unsqueeze(-1) * values).sum(-2).flatten(1, 2).unsqueeze(2).to(queries.dtype)


class Attention(nn.Module):
    """Softmax attention of `heads` queries over `kv_heads` keys; one projection computes all of them."""

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        kv_heads: int,
        head_width: int,
        qk_norm: bool,
        norm_eps: float,
        layer: int,
    ):
        super().__init__()
        self.heads, self.kv_heads, self.head_width, self.layer = heads, kv_heads, head_width, layer
        self.qkv = Linear(width, (heads + 2 * kv_heads) * head_width)
        self.out = Linear(heads * head_width, width)
        self.query_norm = nn.RMSNorm(head_width, eps=norm_eps) if qk_norm else nn.Identity()
        self.key_norm = nn.RMSNorm(head_width, eps=norm_eps) if qk_norm else nn.Identity()

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        cos: Float[Tensor, "b t f"],
        sin: Float[Tensor, "b t f"],
        *,
        mask: Bool[Tensor, "b 1 t s"] | PackedMask | None,
        view: CacheView | None,
    ) -> Float[Tensor, "b t d"]:
        """`mask=None` is plain causal attention over the row; earlier tokens are in `view`."""
        heads = self.qkv(x).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
        if view is not None:
            queries, keys, values = self._with_cache(heads, cos, sin, view)
        else:
            queries, keys, values = heads.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
            queries = rotate(self.query_norm(queries), cos, sin).to(values.dtype)
            keys = rotate(self.key_norm(keys), cos, sin).to(values.dtype)
        attended = attend(queries, keys.to(queries.dtype), values.to(queries.dtype), mask)
        return self.out(attended.transpose(1, 2).flatten(2))

    def _with_cache(
        self, heads: Float[Tensor, "b h t w"], cos: Tensor, sin: Tensor, view: CacheView
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns new queries, and all keys and values.

        Queries and keys are normalised and rotated as one tensor: the number of operations dominates the cost
        of a step of one id.
        """
        rotated, values = heads.split((self.heads + self.kv_heads, self.kv_heads), dim=1)
        if isinstance(self.query_norm, nn.RMSNorm):
            rotated = F.rms_norm(rotated, (self.head_width,), eps=self.query_norm.eps) * self._scales
        rotated = rotate(rotated, cos, sin).to(values.dtype)
        queries, keys = rotated.split((self.heads, self.kv_heads), dim=1)
        return queries, *view.write(self.layer, torch.cat((keys, values), dim=1))

    @property
    def _scales(self) -> Float[Tensor, "h 1 w"]:
        """The norms' weights, one row per head."""
        weights = (
            self.query_norm.weight.expand(self.heads, -1),
            self.key_norm.weight.expand(self.kv_heads, -1),
        )
        return torch.cat(weights)[:, None]
