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

LONGEST = 2048
"""Tokens of the longest row that a CPU trains by blocks: probabilities of longer ones take much memory."""


def document_mask(document: Int64[Tensor, "b t"]) -> Bool[Tensor, "b 1 t t"]:
    """Causal attention inside each document; padding (-1) sees itself only, so that no row is empty."""
    tokens = document.shape[1]
    causal = torch.ones(tokens, tokens, dtype=torch.bool, device=document.device).tril()
    alike = document[:, :, None] == document[:, None, :]
    padding = (document < 0)[:, :, None]
    alone = torch.eye(tokens, dtype=torch.bool, device=document.device)
    return (causal & torch.where(padding, alone, alike)).unsqueeze(1)


class PackedMask(ABC):
    """What `document_mask` says, in another engine's terms."""

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
    """Softmax attention under `mask`, causal where it is None; a mask hides all later places too."""
    if isinstance(mask, PackedMask):
        return mask.attend(queries, keys, values)
    if _trains_on_cpu(queries, keys):
        copies = queries.shape[1] // keys.shape[1]
        if copies > 1:
            keys, values = (x.repeat_interleave(copies, dim=1) for x in (keys, values))
        return attend_blockwise(queries, keys, values, mask)
    on_cpu = queries.device.type == "cpu"
    if torch.compiler.is_compiling() and on_cpu and queries.shape[2] == 1 and mask is not None:
        return _summed(queries, keys, values, mask)
    wanted, grouped = queries.dtype, queries.shape[1] != keys.shape[1]
    if on_cpu and wanted.itemsize == 2:  # 2 to 5 times as fast for one query
        queries, keys, values = queries.float(), keys.float(), values.float()
    return F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped
    ).to(wanted)


def _trains_on_cpu(queries: Tensor, keys: Tensor) -> bool:
    whole = keys.shape[2] == queries.shape[2] <= LONGEST  # no cache
    return whole and queries.device.type == "cpu" and torch.is_grad_enabled()


def _summed(
    queries: Float[Tensor, "b h 1 w"],
    keys: Float[Tensor, "b g s w"],
    values: Float[Tensor, "b g s w"],
    mask: Bool[Tensor, "#b 1 1 s"],
) -> Float[Tensor, "b h 1 w"]:
    """Attention of one query as plain sums, which inductor makes loops of that read each key and value once,
    as it is held; torch's kernel wants them in another precision or is slow, and reads copies."""
    wide = torch.promote_types(queries.dtype, torch.float32)
    asked = queries.to(wide).unflatten(1, (keys.shape[1], -1))  # b g c 1 w
    keys, values = keys.to(wide).unsqueeze(2), values.to(wide).unsqueeze(2)  # b g 1 s w
    scores = (asked * keys).sum(-1) * queries.shape[-1] ** -0.5
    scores = scores.where(mask, -torch.inf)  # b g c s
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    # divided here, it is once a head; divided at the end, once for every row of the weights that come next
    shares = weights * weights.sum(-1, keepdim=True).reciprocal()
    return (shares.unsqueeze(-1) * values).sum(-2).flatten(1, 2).unsqueeze(2).to(queries.dtype)


class Attention(nn.Module):
    """Softmax attention of `heads` queries over `kv_heads` keys; one projection makes all of them."""

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
        room: CacheView | None,
    ) -> Float[Tensor, "b t d"]:
        """`mask=None` is plain causal attention over the row; in `room` the row has tokens before it."""
        heads = self.qkv(x).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
        if room is not None:
            queries, keys, values = self._after(heads, cos, sin, room)
        else:
            queries, keys, values = heads.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
            queries = rotate(self.query_norm(queries), cos, sin).to(values.dtype)
            keys = rotate(self.key_norm(keys), cos, sin).to(values.dtype)
        attended = attend(queries, keys.to(queries.dtype), values.to(queries.dtype), mask)
        return self.out(attended.transpose(1, 2).flatten(2))

    def _after(
        self, heads: Float[Tensor, "b h t w"], cos: Tensor, sin: Tensor, room: CacheView
    ) -> tuple[Tensor, Tensor, Tensor]:
        """New queries, and all keys and values; queries and keys are turned as one, since a step of one id
        costs what its operations cost."""
        turned, values = heads.split((self.heads + self.kv_heads, self.kv_heads), dim=1)
        if isinstance(self.query_norm, nn.RMSNorm):
            turned = F.rms_norm(turned, (self.head_width,), eps=self.query_norm.eps) * self._scales
        turned = rotate(turned, cos, sin).to(values.dtype)
        queries, keys = turned.split((self.heads, self.kv_heads), dim=1)
        return queries, *room.write(self.layer, torch.cat((keys, values), dim=1))

    @property
    def _scales(self) -> Float[Tensor, "h 1 w"]:
        """The norms' weights, a row a head."""
        weights = (
            self.query_norm.weight.expand(self.heads, -1),
            self.key_norm.weight.expand(self.kv_heads, -1),
        )
        return torch.cat(weights)[:, None]
