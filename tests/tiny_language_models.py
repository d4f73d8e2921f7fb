"""Tiny random language models of transformers, alone and inside models that see, and their folders."""

import pytest
import torch

from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.models.transformer_config import BlockVariant

ROWS = 61
SIZES = {
    "vocab_size": ROWS,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rms_norm_eps": 1e-6,
    "initializer_range": 0.2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
    "pad_token_id": 0,
}
OURS = dict(width=48, layers=3, heads=4, kv_heads=2, head_width=16, hidden=80, rope_base=500.0)
SECTIONS = (4, 2, 2)
FAMILIES = {
    "qwen3": ("Qwen3", BlockVariant()),
    "llama": ("Llama", BlockVariant(qk_norm=False)),
    "qwen2": ("Qwen2", BlockVariant(qk_norm=False, qkv_bias=True)),
    "gemma": ("Gemma", BlockVariant(qk_norm=False, activation="gelu_tanh")),
    "qwen3_vl_text": ("Qwen3VLText", BlockVariant(rope_sections=SECTIONS)),
}
"""The name in transformers, and the block, by model_type."""
SEEING = {
    "LLaVA of Llama": ("Llava", "llama"),
    "LLaVA of Qwen2": ("Llava", "qwen2"),
    "LLaVA of Qwen3": ("Llava", "qwen3"),
    "InternVL": ("InternVL", "qwen2"),
    "PaliGemma": ("PaliGemma", "gemma"),
    "Qwen3-VL": ("Qwen3VL", "qwen3_vl_text"),
}


def text_config(kind: str, *, rows: int = ROWS, tie: bool = False):
    """A tiny configuration of a family."""
    transformers = pytest.importorskip("transformers")
    sizes = SIZES | {"vocab_size": rows, "tie_word_embeddings": tie}
    if kind == "qwen3_vl_text":
        del sizes["tie_word_embeddings"]
        axes = {"mrope_section": list(SECTIONS), "mrope_interleaved": True}
        sizes["rope_parameters"] = sizes["rope_parameters"] | axes
    return getattr(transformers, f"{FAMILIES[kind][0]}Config")(**sizes)


def language_model(kind: str, *, rows: int = ROWS, tie: bool = False):
    """A model of a family, alone."""
    torch.manual_seed(0)
    if kind == "qwen3_vl_text":
        return seeing_model("Qwen3-VL", rows=rows, tie=tie)
    import transformers

    return spread(
        getattr(transformers, f"{FAMILIES[kind][0]}ForCausalLM")(text_config(kind, rows=rows, tie=tie))
    )


def seeing_model(name: str, *, rows: int = ROWS, tie: bool = False):
    """A model of a family inside a model that sees."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    kind, family = SEEING[name]
    config = getattr(transformers, f"{kind}Config")(
        text_config=text_config(family, rows=rows, tie=tie),
        vision_config=getattr(transformers, f"{VISION[kind][0]}VisionConfig")(**VISION[kind][1]),
        tie_word_embeddings=tie,
        **({"projection_dim": 48} if kind == "PaliGemma" else {}),
    )
    return spread(getattr(transformers, f"{kind}ForConditionalGeneration")(config))


def text_logits(model, ids: torch.Tensor) -> torch.Tensor:
    """What the language model inside a model that sees says of texts, read from left to right."""
    for module in model.model.language_model.modules():
        if hasattr(module, "is_causal"):  # PaliGemma reads prompts in both directions
            module.is_causal = True
    return model.lm_head(model.model.language_model(ids).last_hidden_state)


TOWER = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
    "image_size": 24, "patch_size": 8,
}  # fmt: skip
VISION = {
    "Llava": ("CLIP", TOWER),
    "PaliGemma": ("Siglip", TOWER),
    "InternVL": ("InternVL", TOWER | {"image_size": [16, 16], "patch_size": [4, 4]}),
    "Qwen3VL": (
        "Qwen3VL",
        {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 4,
         "out_hidden_size": 48, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]},
    ),
}  # fmt: skip


def spread(model):
    """Moves the weights of norms and biases at random, as training would."""
    for weight in model.parameters():
        if weight.ndim == 1:
            weight.data += torch.rand_like(weight) - 0.5
    return model.eval()


def sizes_of_ours(kind: str, *, tie: bool = False, max_length: int = 1024) -> TransformerSizes:
    """The sizes of our transformer that are those of `language_model(kind)`."""
    changes = {"tie_embeddings": tie and kind != "gemma", "max_length": max_length}
    return TransformerSizes(**OURS, variant=FAMILIES[kind][1], **changes)


def ours_of(kind: str, theirs, *, rows: int = ROWS, tie: bool = False) -> Transformer:
    """Our transformer with the weights of a language model."""
    from unitok.interop.language.weights import from_transformers

    sizes = sizes_of_ours(kind, tie=tie)
    inside = {name.replace("model.language_model.", "model."): w for name, w in theirs.state_dict().items()}
    ours = Transformer(TransformerConfig(sizes, rows))
    ours.load_state_dict(from_transformers(inside, sizes))
    return ours.eval()
