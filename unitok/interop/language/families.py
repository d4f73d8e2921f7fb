"""Families of language models: config.json to the sizes of a transformer, and back. Knows no tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from unitok.models.transformer_config import (
    OWN_SIGHT,
    BlockVariant,
    TransformerConfig,
    TransformerSizes,
)


@dataclass(frozen=True)
class Family:
    """A family of language models whose block our transformer has.

    Args:
        model_type: its name in config.json.
        architecture: its class in transformers.
        variant: its block.
        hidden_act: the names of its activation.
        folded: whether it multiplies embeddings by √width and adds one to the weights of its norms, both of
            which our weights hold already.
        sections: the frequencies of time, rows and columns where config.json has none; None for a family of
            texts alone.
        defaults: settings that its config.json may lack.
    """

    model_type: str
    architecture: str
    variant: BlockVariant = BlockVariant(qk_norm=False)  # noqa: RUF009 (it is frozen)
    hidden_act: tuple[str, ...] = ("silu",)
    folded: bool = False
    sections: tuple[int, int, int] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)


QWEN = {
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
}
LLAMA = QWEN | {"intermediate_size": 11008, "num_key_value_heads": None, "max_position_embeddings": 2048}
GEMMA = {
    "hidden_size": 3072,
    "intermediate_size": 24576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 256,
    "max_position_embeddings": 8192,
}
FAMILIES = {
    family.model_type: family
    for family in (
        Family("qwen3", "Qwen3ForCausalLM", BlockVariant(), defaults=QWEN | {"head_dim": 128}),
        Family("llama", "LlamaForCausalLM", defaults=LLAMA),
        Family("qwen2", "Qwen2ForCausalLM", BlockVariant(qk_norm=False, qkv_bias=True), defaults=QWEN),
        Family(
            "gemma",
            "GemmaForCausalLM",
            BlockVariant(qk_norm=False, activation="gelu_tanh"),
            hidden_act=("gelu_pytorch_tanh", "gelu"),  # the first releases say gelu and mean the other
            folded=True,
            defaults=GEMMA,
        ),
        Family(
            "qwen3_vl_text",
            "Qwen3VLForConditionalGeneration",
            BlockVariant(),
            sections=(24, 20, 20),
            defaults=QWEN | {"head_dim": 128, "max_position_embeddings": 128_000, "rope_theta": 500_000.0},
        ),
    )
}
"""By model_type; of families with one block, the first is the one that is written."""
INSIDE = {
    "llava": "llama",
    "llava_next": "llama",
    "paligemma": "gemma",
    "internvl": "qwen2",
    "qwen3_vl": "qwen3_vl_text",
}
"""Models that see, by model_type, with the family of a text_config that does not say its own."""

SUPPORTED = {
    "attention_bias": False,
    "mlp_bias": False,
    "partial_rotary_factor": 1.0,
    "pretraining_tp": 1,
    "quantization_config": None,
    "hidden_activation": "gelu_pytorch_tanh",
}
"""Settings of a config.json with the only values that our transformer supports."""


def family_of(sizes: TransformerSizes) -> Family:
    """The family that has this block, whoever sees whom in it. Raises ValueError where none has."""
    default = BlockVariant()
    same = {name: getattr(default, name) for name in ("rope_sections", *OWN_SIGHT)}
    block = replace(sizes.variant, **same)
    for family in FAMILIES.values():
        if family.variant == block:
            return family
    raise ValueError(
        f"for an export the block must be that of {', '.join(FAMILIES)}, got one with "
        f"qk_norm={block.qk_norm}, qkv_bias={block.qkv_bias} and activation={block.activation}"
    )


def config_of(config: TransformerConfig, **ids: int) -> dict[str, Any]:
    """Build config.json of a model of the block's family; `ids` are eos_token_id, …

    Raises ValueError where no family has the block.
    """
    sizes = config.sizes
    family = family_of(sizes)
    return {
        "architectures": [family.architecture],
        "model_type": family.model_type,
        "vocab_size": config.vocab_size,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_width,
        "hidden_act": family.hidden_act[0],
        "attention_bias": False,
        "max_position_embeddings": sizes.max_length,
        "rms_norm_eps": sizes.norm_eps,
        "rope_theta": sizes.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": sizes.rope_base},
        "tie_word_embeddings": sizes.tie_embeddings and not family.folded,
        "use_cache": True,
        **ids,
    }


def language_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the language model in a config.json: its text_config, if it is of a model that sees."""
    inner = config.get("text_config")
    if not isinstance(inner, Mapping):
        return dict(config)
    named = {"model_type": INSIDE.get(config.get("model_type"))}
    return named | {"quantization_config": config.get("quantization_config")} | dict(inner)


def sizes_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a language model's config.json to fields of TransformerSizes.

    Raises:
        ValueError: it is of another family, or has a feature that our transformer lacks: scaled or partial
            rotary positions, sliding windows, biases, another activation.
    """
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise ValueError(f"model_type of a language model must be one of {', '.join(FAMILIES)}, got {kind!r}")
    family = FAMILIES[kind]
    rope = _rope(config, family)
    for name, supported in (SUPPORTED | {"hidden_act": family.hidden_act}).items():
        values = supported if isinstance(supported, tuple) else (supported,)
        if config.get(name) not in (None, *values):
            raise ValueError(f"{name} must be {values[0]} or absent, got {config[name]!r:.80}")
    layers = config.get("layer_types") or []
    if config.get("use_sliding_window") or any(name != "full_attention" for name in layers):
        raise ValueError("sliding windows are not supported, got use_sliding_window or layer_types with them")
    given = {**family.defaults, **config}
    heads = given["num_attention_heads"]
    sections = family.sections and tuple(rope.get("mrope_section", family.sections))
    return {
        "width": given["hidden_size"],
        "layers": given["num_hidden_layers"],
        "heads": heads,
        "kv_heads": given["num_key_value_heads"] or heads,
        "head_width": given.get("head_dim") or given["hidden_size"] // heads,
        "hidden": given["intermediate_size"],
        "rope_base": float(rope.get("rope_theta", given.get("rope_theta", 10_000.0))),
        "norm_eps": given.get("rms_norm_eps", 1e-6),
        "tie_embeddings": bool(given.get("tie_word_embeddings")) and not family.folded,
        "max_length": given["max_position_embeddings"],
        "variant": replace(family.variant, rope_sections=sections),
    }


def _rope(config: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """Read a config's rotary parameters. Raises ValueError if they are scaled or partial."""
    parameters, scaling = config.get("rope_parameters"), config.get("rope_scaling")
    if any(part is not None and not isinstance(part, Mapping) for part in (parameters, scaling)):
        raise ValueError(
            f"rope_parameters and rope_scaling must be objects, got {[parameters, scaling]!r:.80}"
        )
    rope = {**(scaling or {}), **(parameters or {})}
    known = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
    kinds = {rope[name] for name in ("rope_type", "type") if name in rope}
    if kinds == {"dynamic"}:  # it scales beyond the length that was trained alone
        kinds, known = set(), known | {"factor", "original_max_position_embeddings"}
    if family.sections is not None and rope.get("mrope_interleaved", True) is True:
        known |= {"mrope_section", "mrope_interleaved"}
    if kinds - {"default"} or rope.keys() - known or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError(f"rotary positions must not be scaled or partial, got {rope!r:.200}")
    return rope
