"""Tensors by their names in transformers to ours, and back. Knows no files.

What a family computes in another way is folded into its weights: Gemma multiplies embeddings by √width and
adds one to the weights of its norms, so ours are scaled and shifted, and its head has a matrix of its own.
"""

import math

import torch

from unitok.interop.files import Tensors
from unitok.interop.language.families import family_of
from unitok.models.transformer_config import TransformerSizes

SHARED = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "unembedding.weight": "lm_head.weight",
}
PER_BLOCK = {
    "attention_norm.weight": "input_layernorm.weight",
    "attention.out.weight": "self_attn.o_proj.weight",
    "attention.query_norm.weight": "self_attn.q_norm.weight",
    "attention.key_norm.weight": "self_attn.k_norm.weight",
    "feed_forward_norm.weight": "post_attention_layernorm.weight",
    "feed_forward.down.weight": "mlp.down_proj.weight",
}
FUSED = {
    "attention.qkv.weight": tuple(f"self_attn.{part}_proj.weight" for part in "qkv"),
    "attention.qkv_bias.weight": tuple(f"self_attn.{part}_proj.bias" for part in "qkv"),
    "feed_forward.gate_up.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
}
"""Ours, with the tensors whose rows they hold one after the other."""


def to_transformers(tensors: Tensors, sizes: TransformerSizes) -> Tensors:
    """Rename our weights to transformers' names and split fused projections."""
    folded = family_of(sizes).folded
    ours = _fold(tensors, scale=1 / math.sqrt(sizes.width), offset=-1) if folded else tensors
    theirs = {name: ours[own] for own, name in SHARED.items() if own in ours}
    if sizes.tie_embeddings and not folded:
        theirs.pop(SHARED["unembedding.weight"], None)
    keys = sizes.kv_heads * sizes.head_width
    for layer in range(sizes.layers):
        block, name = f"blocks.{layer}.", f"model.layers.{layer}."
        theirs |= {name + b: ours[block + a] for a, b in PER_BLOCK.items() if block + a in ours}
        for own, parts in FUSED.items():
            if block + own in ours:
                rows = [sizes.hidden] * 2 if len(parts) == 2 else [sizes.heads * sizes.head_width, keys, keys]
                split = ours[block + own].split(rows)
                theirs |= {name + part: w.contiguous() for part, w in zip(parts, split, strict=True)}
    return theirs


def from_transformers(tensors: Tensors, sizes: TransformerSizes) -> Tensors:
    """Rename weights of a language model to our names; a tied head shares the embedding's matrix.

    Raises:
        ValueError: a tensor is missing.
    """
    ours = {name: tensors[theirs] for name, theirs in SHARED.items() if theirs in tensors}
    ours.setdefault("unembedding.weight", tensors[SHARED["embedding.weight"]])
    for layer in range(sizes.layers):
        name, theirs = f"blocks.{layer}.", f"model.layers.{layer}."
        ours |= {name + a: tensors[theirs + b] for a, b in PER_BLOCK.items() if theirs + b in tensors}
        for own, parts in FUSED.items():
            if own != "attention.qkv_bias.weight" or sizes.variant.qkv_bias:
                ours[name + own] = _fuse(tensors, theirs, parts)
    return _fold(ours, scale=math.sqrt(sizes.width), offset=1) if family_of(sizes).folded else ours


def _fuse(tensors: Tensors, prefix: str, names: tuple[str, ...]) -> torch.Tensor:
    missing = [prefix + name for name in names if prefix + name not in tensors]
    if missing:
        raise ValueError(f"no tensor {missing[0]}")
    return torch.cat([tensors[prefix + name] for name in names])


def _fold(tensors: Tensors, *, scale: float, offset: float) -> Tensors:
    """Multiply the embeddings and shift the weights of the norms, in float32."""
    norms = [name for name in tensors if name.endswith("norm.weight")]
    tensors = tensors | {name: tensors[name].float() + offset for name in norms}
    return tensors | {"embedding.weight": tensors["embedding.weight"].float() * scale}
