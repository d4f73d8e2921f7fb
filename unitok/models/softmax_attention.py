"""Softmax attention under a mask, by the fastest way for a device. Knows no weights.

The way is chosen once for a forward pass, and every layer takes it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from unitok.models.bidirectional import same_part
from unitok.models.cpu.blockwise_attention import attend_blockwise

MAX_BLOCKWISE = 2048
"""Maximum row length for blockwise attention on CPUs: probabilities of longer rows take much memory."""


def document_mask(
    document: Int64[Tensor, "b t"], parts: Int64[Tensor, "b t"] | None = None
) -> Bool[Tensor, "b 1 t t"]:
    """Causal attention within each document, and in both directions within its `parts`, see bidirectional.py;
    padding (-1) attends to itself only, so that no row is empty."""
    tokens = document.shape[1]
    causal = torch.ones(tokens, tokens, dtype=torch.bool, device=document.device).tril()
    if parts is not None:
        causal = causal | same_part(parts, parts)[:, 0]
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


Mask = Bool[Tensor, "#b 1 t s"] | PackedMask | None
"""What each query attends to; None is plain causal attention."""
Attend = Callable[[Tensor, Tensor, Tensor, Mask], Tensor]
"""Attention of queries [b, h, t, w] over keys and values [b, g, s, w] under a mask."""


def choose_attend(mask: Mask, *, tokens: int, device: torch.device, causal: bool = True) -> Attend:
    """Returns the function by which every layer attends in a forward pass of `tokens` queries a row; `causal`
    is whether the mask hides all later keys."""
    if isinstance(mask, PackedMask):
        return _attend_packed
    if device.type != "cpu":
        return _attend_by_torch
    if torch.is_grad_enabled() and tokens <= MAX_BLOCKWISE and (mask is None or mask.shape[-1] == tokens):
        return _attend_in_blocks if causal else _attend_in_wider_blocks
    if torch.compiler.is_compiling() and tokens == 1 and mask is not None:
        return _attend_one_query
    return _attend_on_cpu


def _attend_packed(
    queries: Float[Tensor, "b h t w"],
    keys: Float[Tensor, "b g t w"],
    values: Float[Tensor, "b g t w"],
    mask: PackedMask,
) -> Float[Tensor, "b h t w"]:
    return mask.attend(queries, keys, values)


def _attend_by_torch(
    queries: Float[Tensor, "b h t w"],
    keys: Float[Tensor, "b g s w"],
    values: Float[Tensor, "b g s w"],
    mask: Bool[Tensor, "#b 1 t s"] | None,
) -> Float[Tensor, "b h t w"]:
    """Attention by torch's own kernels."""
    grouped = queries.shape[1] != keys.shape[1]
    return F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped
    )


def _attend_on_cpu(
    queries: Float[Tensor, "b h t w"],
    keys: Float[Tensor, "b g s w"],
    values: Float[Tensor, "b g s w"],
    mask: Bool[Tensor, "#b 1 t s"] | None,
) -> Float[Tensor, "b h t w"]:
    """The same; 16-bit numbers in float32, which is 2 to 5 times as fast for one query."""
    dtype = queries.dtype
    if dtype.itemsize == 2:
        queries, keys, values = queries.float(), keys.float(), values.float()
    return _attend_by_torch(queries, keys, values, mask).to(dtype)


def _attend_in_blocks(
    queries: Float[Tensor, "b h t w"],
    keys: Float[Tensor, "b g t w"],
    values: Float[Tensor, "b g t w"],
    mask: Bool[Tensor, "#b 1 t t"] | None,
    causal: bool = True,
) -> Float[Tensor, "b h t w"]:
    """Attention for training on a CPU."""
    copies = queries.shape[1] // keys.shape[1]
    if copies > 1:
        keys, values = (x.repeat_interleave(copies, dim=1) for x in (keys, values))
    return attend_blockwise(queries, keys, values, mask, causal=causal)


def _attend_in_wider_blocks(
    queries: Float[Tensor, "b h t w"],
    keys: Float[Tensor, "b g t w"],
    values: Float[Tensor, "b g t w"],
    mask: Bool[Tensor, "#b 1 t t"],
) -> Float[Tensor, "b h t w"]:
    """The same, under a mask that shows some later keys."""
    return _attend_in_blocks(queries, keys, values, mask, causal=False)


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
