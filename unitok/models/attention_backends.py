"""FlexAttention and xformers for attention inside packed documents on GPUs. Knows no model.

All compute the same as torch's own attention with `document_mask`, but without a [tokens, tokens] mask: flex
skips blocks of other documents, xformers processes each document by itself.
"""

import logging
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.models.softmax_attention import PackedMask, document_mask

Backend = Literal["sdpa", "flex", "xformers"]
log = logging.getLogger(__name__)


class FlexMask(PackedMask):
    """FlexAttention's block mask (arXiv:2412.05496) of documents.

    Args:
        document: number of each token's document, -1 for padding.
        parts: of documents, inside which attention has both directions, see bidirectional.py.
        compiled: compile the kernel; uncompiled, it is a slow reference.
    """

    def __init__(
        self,
        document: Int64[Tensor, "b t"],
        parts: Int64[Tensor, "b t"] | None = None,
        *,
        compiled: bool = True,
    ):
        rows, tokens = document.shape
        sees = lambda row, query, key: query >= key  # noqa: E731 (flex counts the arguments of a function)
        if parts is not None:
            sees = lambda row, query, key: (  # noqa: E731
                (query >= key) | ((parts[row, query] == parts[row, key]) & (parts[row, query] >= 0))
            )
        self.blocks = _block_mask(compiled)(
            lambda row, head, query, key: (
                sees(row, query, key) & (document[row, query] == document[row, key])
            ),
            *(rows, None, tokens, tokens),
            device=document.device,
        )
        self.kernel = _flex(compiled)

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Float[Tensor, "b h t w"]:
        grouped = queries.shape[1] != keys.shape[1]
        return self.kernel(queries, keys, values, block_mask=self.blocks, enable_gqa=grouped)

    @staticmethod
    def lacks(device: torch.device) -> str | None:
        """Why it cannot train on this device; None where it can."""
        return None if device.type == "cuda" else f"FlexAttention has no gradient on {device.type}"


@cache
def _block_mask(compiled: bool) -> Callable:
    """Uncompiled, torch builds a [tokens, tokens] mask on the way to the blocks."""
    from torch.nn.attention.flex_attention import create_block_mask

    return torch.compile(create_block_mask) if compiled else create_block_mask


@cache
def _flex(compiled: bool) -> Callable:
    """One compilation serves all layers and steps."""
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention) if compiled else flex_attention


class XformersMask(PackedMask):
    """xformers' block-diagonal causal mask over all rows concatenated.

    Args:
        document: number of each token's document, -1 for padding.
        parts: must be None.
    """

    def __init__(self, document: Int64[Tensor, "b t"], parts: Int64[Tensor, "b t"] | None = None):
        if parts is not None:
            raise ValueError("attention in both directions needs attention=sdpa or flex, got xformers")
        from xformers.ops import memory_efficient_attention
        from xformers.ops.fmha.attn_bias import BlockDiagonalCausalMask

        self.kernel = memory_efficient_attention
        self.bias = BlockDiagonalCausalMask.from_seqlens(run_lengths(document), device=document.device)

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Float[Tensor, "b h t w"]:
        rows, copies = len(queries), queries.shape[1] // keys.shape[1]
        keys, values = (x.repeat_interleave(copies, dim=1) for x in (keys, values))
        flat = (x.transpose(1, 2).flatten(0, 1)[None].contiguous() for x in (queries, keys, values))
        attended = self.kernel(*flat, attn_bias=self.bias)[0]
        return attended.unflatten(0, (rows, -1)).transpose(1, 2)

    @staticmethod
    def lacks(device: torch.device) -> str | None:
        """Why it cannot train on this device; None where it can."""
        if device.type != "cuda":
            return f"xformers has no kernel on {device.type}"
        return None if find_spec("xformers") else "xformers is not installed (extra `xformers`)"


BACKENDS: dict[str, type[FlexMask | XformersMask]] = {"flex": FlexMask, "xformers": XformersMask}


def packed_mask(backend: Backend, device: torch.device) -> Callable[..., Tensor | PackedMask]:
    """Returns the function from document numbers, and parts or None, to the mask of a backend; torch's own,
    with a warning, where the backend cannot run."""
    if backend == "sdpa":
        return document_mask
    if backend not in BACKENDS:
        raise ValueError(f"attention must be one of sdpa, {', '.join(BACKENDS)}, got {backend!r}")
    lack = BACKENDS[backend].lacks(device)
    if lack is not None:
        log.warning("attention: %s: %s, using sdpa instead", backend, lack)
        return document_mask
    return BACKENDS[backend]


def run_lengths(document: Int64[Tensor, "b t"]) -> list[int]:
    """Returns the lengths of the documents, and of the padding, of all rows concatenated."""
    rows = torch.arange(len(document), device=document.device)[:, None]
    unique = (rows * (document.shape[1] + 1) + document).flatten()
    return torch.unique_consecutive(unique, return_counts=True)[1].tolist()
