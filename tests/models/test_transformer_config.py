"""A configuration survives its file; a block that is Qwen3's leaves no trace there."""

import json

import pytest

from tests.tiny_language_models import FAMILIES, sizes_of_ours
from unitok.models.transformer_config import BlockVariant, TransformerConfig, TransformerSizes


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_configuration_survives_its_file(kind):
    config = TransformerConfig(sizes_of_ours(kind), vocab_size=9)
    values = json.loads(json.dumps(config.to_json()))
    assert TransformerConfig.from_json(values) == config
    added = values.keys() & {"qkv_bias", "activation", "rope_sections"}
    assert added == {"qwen2": {"qkv_bias"}, "gemma": {"activation"}, "qwen3_vl_text": {"rope_sections"}}.get(
        kind, set()
    )


@pytest.mark.parametrize(("changes", "message"), [
    ({"kv_heads": 3}, "kv_heads must divide heads=4, got 3"),
    ({"head_width": 5}, "head_width must be even for rotary positions, got 5"),
    ({"head_width": 16, "variant": BlockVariant(rope_sections=(4, 4, 4))}, "the sum 8, half of head_width"),
    ({"head_width": 4, "variant": BlockVariant(rope_sections=(3, 0, -1))}, "rope_sections must be positive"),
])  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TransformerSizes(**changes)


@pytest.mark.parametrize(("variant", "message"), [
    ({"activation": "relu"}, "activation must be .*, got 'relu'"),
    ({"qkv_bias": 1}, "qkv_bias must be bool, got 1"),
    ({"rope_sections": [1, 2]}, "rope_sections must be"),
    ({"bias": True}, "unknown bias"),
])  # fmt: skip
def test_a_variant_that_is_none_is_refused(variant, message):
    values = TransformerConfig(TransformerSizes(), vocab_size=9).to_json() | variant
    with pytest.raises(ValueError, match=message):
        TransformerConfig.from_json(values)
