"""Sizes are those of transformers' own configurations, also of settings that config.json omits."""

import json
from dataclasses import replace

import pytest

from tests.tiny_language_models import FAMILIES, SEEING, seeing_model, sizes_of_ours, text_config
from unitok.interop.language.families import FAMILIES as FAMILIES_OF_OURS
from unitok.interop.language.families import config_of, family_of, language_config, sizes_of
from unitok.models.transformer_config import BlockVariant, TransformerConfig, TransformerSizes


@pytest.mark.parametrize("kind", FAMILIES)
def test_sizes_are_those_of_the_configuration(kind, tmp_path):
    text_config(kind).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    sizes = TransformerSizes(**sizes_of(config))
    assert sizes == sizes_of_ours(kind, max_length=sizes.max_length)


@pytest.mark.parametrize("name", SEEING)
def test_sizes_are_those_inside_a_model_that_sees(name, tmp_path):
    seeing_model(name).config.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    sizes = TransformerSizes(**sizes_of(language_config(config)))
    assert sizes == sizes_of_ours(SEEING[name][1], max_length=sizes.max_length)


@pytest.mark.parametrize("kind", FAMILIES)
def test_what_a_configuration_omits_is_what_transformers_takes(kind):
    transformers = pytest.importorskip("transformers")
    theirs = getattr(transformers, f"{FAMILIES[kind][0]}Config")()
    ours, without = sizes_of(theirs.to_dict()), sizes_of({"model_type": kind})
    assert without == ours and TransformerSizes(**without)


@pytest.mark.parametrize("name", ["Llava", "PaliGemma", "InternVL", "Qwen3VL"])
def test_a_text_config_without_a_family_is_of_the_models_own(name):
    config = getattr(pytest.importorskip("transformers"), f"{name}Config")()
    values = config.to_dict() | {"text_config": {}}
    family = config.text_config.model_type
    assert language_config(values)["model_type"] == family and sizes_of(language_config(values))


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_configuration_that_is_written_is_read(kind):
    config = TransformerConfig(sizes_of_ours(kind), vocab_size=9)
    again = TransformerSizes(**sizes_of(config_of(config)))
    assert again.variant.rope_sections is None  # one-dimensional positions have no axes
    assert again == config.sizes if kind != "qwen3_vl_text" else family_of(again).model_type == "qwen3"


@pytest.mark.parametrize("kind", ["qwen3", "llama", "qwen2", "gemma"])
def test_a_family_is_that_of_the_block_whoever_sees_whom(kind):
    sizes = sizes_of_ours(kind)
    own = replace(sizes.variant, bidirectional="prefix", cross_every=1, cross_all=True, visual_rank=2)
    assert family_of(replace(sizes, variant=own)) is family_of(sizes) is FAMILIES_OF_OURS[kind]


def test_a_block_of_no_family_is_named():
    sizes = TransformerSizes(variant=BlockVariant(qkv_bias=True))
    with pytest.raises(ValueError, match="qk_norm=True, qkv_bias=True and activation=silu"):
        family_of(sizes)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "gpt2"}, "got 'gpt2'"),
        ({"model_type": "gemma2"}, "qwen3, llama, qwen2, gemma, qwen3_vl_text, got 'gemma2'"),
        ({"model_type": "llava", "text_config": {"model_type": "phi3"}}, "got 'phi3'"),
        ({"model_type": "blip-2", "text_config": {"model_type": "opt"}}, "got 'opt'"),
        ({"model_type": "blip-2", "text_config": {"model_type": "t5"}}, "got 't5'"),
        ({"model_type": "idefics", "text_config": {}}, "got None"),
        ({"model_type": "qwen2", "rope_scaling": {"type": "mrope", "mrope_section": [1, 2, 3]}}, "mrope"),
        ({"model_type": "qwen3_vl_text", "rope_parameters": {"mrope_interleaved": False}}, "interleaved"),
        ({"model_type": "gemma", "hidden_activation": "relu"}, "gelu_pytorch_tanh"),
        ({"model_type": "llama", "quantization_config": {"bits": 4}}, "quantization_config"),
        (
            {
                "model_type": "llava",
                "quantization_config": {"bits": 4},
                "text_config": {"model_type": "llama"},
            },
            "quantization_config",
        ),
        ({"model_type": "llama", "rope_scaling": {"rope_type": "yarn"}}, "yarn"),
        ({"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 4.0}}, "linear"),
        ({"model_type": "qwen3", "rope_scaling": {"factor": 4.0}}, "factor"),
        ({"model_type": "qwen3", "rope_parameters": {"rope_type": "yarn"}}, "yarn"),
        ({"model_type": "qwen3", "rope_parameters": {"full_attention": {}}}, "full_attention"),
        ({"model_type": "llama", "rope_scaling": "yarn"}, "yarn"),
        ({"model_type": "qwen3", "attention_bias": True}, "attention_bias"),
        ({"model_type": "llama", "mlp_bias": True}, "mlp_bias"),
        ({"model_type": "llama", "hidden_act": "gelu"}, "hidden_act"),
        ({"model_type": "llama", "partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"model_type": "qwen3", "use_sliding_window": True}, "sliding"),
        ({"model_type": "qwen3", "layer_types": ["full_attention", "sliding_attention"]}, "sliding"),
    ],
)
def test_unsupported_families_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        sizes_of(language_config(config))
