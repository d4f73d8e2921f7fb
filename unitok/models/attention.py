"""Grouped-query attention with QK-norm per head and rotary positions. Knows masks, not documents."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.cpu.linear import Linear
from unitok.models.kv_cache import CacheView
from unitok.models.rotary import rotate
from unitok.models.softmax_attention import Attend, Mask


class Bias(nn.Module):
    """Adds a vector; beside its projection, whose matrix is then like any other."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "*b n"]) -> Float[Tensor, "*b n"]:
        return x + self.weight


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
        qkv_bias: bool,
        layer: int,
        matrix: Callable[[int, int], Linear] = Linear,
    ):
        super().__init__()
        self.heads, self.kv_heads, self.head_width, self.layer = heads, kv_heads, head_width, layer
        self.qkv = matrix(width, (heads + 2 * kv_heads) * head_width)
        self.qkv_bias = Bias(self.qkv.out_features) if qkv_bias else nn.Identity()
        self.out = matrix(heads * head_width, width)
        self.query_norm = nn.RMSNorm(head_width, eps=norm_eps) if qk_norm else nn.Identity()
        self.key_norm = nn.RMSNorm(head_width, eps=norm_eps) if qk_norm else nn.Identity()

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        cos: Float[Tensor, "b t f"],
        sin: Float[Tensor, "b t f"],
        *,
        attend: Attend,
        mask: Mask,
        view: CacheView | None,
        visual: tuple[Bool[Tensor, "b t 1"], ...] = (),
    ) -> Float[Tensor, "b t d"]:
        """`mask=None` is plain causal attention over the row; earlier tokens are in `view`.

        `visual` is what the matrices take beside `x`.
        """
        heads = self.qkv_bias(self.qkv(x, *visual)).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
        if view is not None:
            queries, keys, values = self._with_cache(heads, cos, sin, view)
        else:
            queries, keys, values = heads.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
            queries = rotate(self.query_norm(queries), cos, sin).to(values.dtype)
            keys = rotate(self.key_norm(keys), cos, sin).to(values.dtype)
        attended = attend(queries, keys.to(queries.dtype), values.to(queries.dtype), mask)
        return self.out(attended.transpose(1, 2).flatten(2), *visual)

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
