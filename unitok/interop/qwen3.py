"""Maps our transformer to Qwen3 and Llama of transformers, and back."""

from collections.abc import Mapping
from typing import Any

import torch

from unitok.interop.files import Tensors
from unitok.models.transformer import TransformerConfig, TransformerSizes

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
QUERIES, KEYS, VALUES = (f"self_attn.{part}_proj.weight" for part in "qkv")
GATE, UP = "mlp.gate_proj.weight", "mlp.up_proj.weight"


def to_transformers(tensors: Tensors, sizes: TransformerSizes) -> Tensors:
    """Rename our weights to transformers' names and split fused projections."""
    theirs = {name: tensors[ours] for ours, name in SHARED.items() if ours in tensors}
    if sizes.tie_embeddings:
        theirs.pop(SHARED["unembedding.weight"], None)
    rows = [sizes.heads * sizes.head_width, *[sizes.kv_heads * sizes.head_width] * 2]
    for layer in range(sizes.layers):
        ours, name = f"blocks.{layer}.", f"model.layers.{layer}."
        theirs |= {name + b: tensors[ours + a] for a, b in PER_BLOCK.items() if ours + a in tensors}
        parts = tensors[ours + "attention.qkv.weight"].split(rows)
        theirs |= {
            name + part: w.contiguous() for part, w in zip((QUERIES, KEYS, VALUES), parts, strict=True)
        }
        gate, up = tensors[ours + "feed_forward.gate_up.weight"].chunk(2)
        theirs |= {name + GATE: gate.contiguous(), name + UP: up.contiguous()}
    return theirs


def from_transformers(tensors: Tensors) -> Tensors:
    """Rename weights of a Qwen3 or Llama model to our names; a tied head shares the embedding's matrix.

    Raises:
        ValueError: a tensor of a layer is missing.
    """
    ours = {name: tensors[theirs] for name, theirs in SHARED.items() if theirs in tensors}
    ours.setdefault("unembedding.weight", tensors["model.embed_tokens.weight"])
    layer = 0
    while f"model.layers.{layer}.input_layernorm.weight" in tensors:
        name, theirs = f"blocks.{layer}.", f"model.layers.{layer}."
        ours |= {name + a: tensors[theirs + b] for a, b in PER_BLOCK.items() if theirs + b in tensors}
        ours[name + "attention.qkv.weight"] = _fuse(tensors, theirs, (QUERIES, KEYS, VALUES))
        ours[name + "feed_forward.gate_up.weight"] = _fuse(tensors, theirs, (GATE, UP))
        layer += 1
    return ours


def _fuse(tensors: Tensors, prefix: str, names: tuple[str, ...]) -> torch.Tensor:
    missing = [prefix + name for name in names if prefix + name not in tensors]
    if missing:
        raise ValueError(f"no tensor {missing[0]}")
    return torch.cat([tensors[prefix + name] for name in names])


def config_of(config: TransformerConfig, **ids: int) -> dict[str, Any]:
    """Build config.json of a Qwen3 model, or Llama without QK-norm; `ids` are eos_token_id, …"""
    sizes = config.sizes
    kind = "qwen3" if sizes.qk_norm else "llama"
    return {
        "architectures": ["Qwen3ForCausalLM" if sizes.qk_norm else "LlamaForCausalLM"],
        "model_type": kind,
        "vocab_size": config.vocab_size,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_width,
        "hidden_act": "silu",
        "attention_bias": False,
        "max_position_embeddings": sizes.max_length,
        "rms_norm_eps": sizes.norm_eps,
        "rope_theta": sizes.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": sizes.rope_base},
        "tie_word_embeddings": sizes.tie_embeddings,
        "use_cache": True,
        **ids,
    }


SUPPORTED = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "partial_rotary_factor": 1.0,
    "pretraining_tp": 1,
}
"""Settings of a config.json with the only values that our transformer supports."""


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """Read a config's rotary parameters. Raises ValueError if they are scaled or partial."""
    parameters, scaling = config.get("rope_parameters"), config.get("rope_scaling")
    if any(part is not None and not isinstance(part, Mapping) for part in (parameters, scaling)):
        raise ValueError(
            f"rope_parameters and rope_scaling must be objects, got {[parameters, scaling]!r:.80}"
        )
    rope = {**(scaling or {}), **(parameters or {})}
    kinds = {rope.get("rope_type", "default"), rope.get("type", "default")}
    odd = sorted(rope.keys() - {"rope_type", "type", "rope_theta", "partial_rotary_factor"})
    if kinds != {"default"} or odd or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError(f"rotary positions must not be scaled or partial, got {rope!r:.200}")
    return rope


def sizes_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a config.json of Qwen3 or Llama to fields of TransformerSizes.

    Raises:
        ValueError: it is of another family, or has a feature that our transformer lacks: scaled or partial
            rotary positions, sliding windows, biases, another activation.
    """
    kind, rope = config.get("model_type"), _rope(config)
    if kind not in ("qwen3", "llama"):
        raise ValueError(f"model_type must be qwen3 or llama, got {kind!r}")
    for name, supported in SUPPORTED.items():
        if config.get(name) not in (None, supported):
            raise ValueError(f"{name} must be {supported} or absent, got {config[name]!r:.80}")
    layers = config.get("layer_types") or []
    if config.get("use_sliding_window") or any(name != "full_attention" for name in layers):
        raise ValueError("sliding windows are not supported, got use_sliding_window or layer_types with them")
    heads = config["num_attention_heads"]
    return {
        "width": config["hidden_size"],
        "layers": config["num_hidden_layers"],
        "heads": heads,
        "kv_heads": config.get("num_key_value_heads", heads),
        "head_width": config.get("head_dim") or config["hidden_size"] // heads,
        "hidden": config["intermediate_size"],
        "rope_base": float(rope.get("rope_theta", config.get("rope_theta", 10_000.0))),
        "norm_eps": config.get("rms_norm_eps", 1e-6),
        "qk_norm": kind == "qwen3",
        "tie_embeddings": bool(config.get("tie_word_embeddings")),
        "max_length": config.get("max_position_embeddings", 2048),
    }
