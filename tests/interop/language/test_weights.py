"""Weights go to transformers and come back, in every family."""

import pytest
import torch

from tests.tiny_language_models import (
    FAMILIES,
    ROWS,
    language_model,
    ours_of,
    sizes_of_ours,
    spread,
    text_config,
)
from unitok.interop.language.families import config_of, sizes_of
from unitok.interop.language.weights import from_transformers, to_transformers
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("kind", FAMILIES)
@torch.no_grad()
def test_weights_that_go_out_give_the_same_logits(kind, tie, tmp_path):
    ours = ours_of(kind, language_model(kind, tie=tie), tie=tie)
    config = config_of(TransformerConfig(ours.sizes, ROWS), pad_token_id=0)
    kind_of_config = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
    theirs = transformers.AutoModelForCausalLM.from_config(kind_of_config).eval()
    missing, unexpected = theirs.load_state_dict(to_transformers(ours.state_dict(), ours.sizes), strict=False)
    assert not unexpected and set(missing) <= ({"lm_head.weight"} if ours.sizes.tie_embeddings else set())
    theirs.tie_weights()
    ids = torch.randint(ROWS, (2, 17))
    positions = torch.arange(17)[None, :, None].expand(2, -1, 3)
    assert (ours.head(ours(ids, positions)) - theirs(ids).logits).abs().max() <= 1e-4


@torch.no_grad()
def test_positions_that_are_scaled_beyond_the_trained_length_alone_open():
    """As those of InternVL 3."""
    config = text_config("qwen2")
    config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 500.0}
    theirs = spread(transformers.Qwen2ForCausalLM(config))
    sizes = TransformerSizes(**sizes_of(config.to_dict()))
    ours = Transformer(TransformerConfig(sizes, ROWS)).eval()
    ours.load_state_dict(from_transformers(theirs.state_dict(), sizes))
    ids, positions = torch.randint(ROWS, (2, 17)), torch.arange(17)[None, :, None].expand(2, -1, 3)
    assert (ours.head(ours(ids, positions)) - theirs(ids).logits).abs().max() <= 1e-4


@pytest.mark.parametrize("kind", FAMILIES)
def test_weights_come_back(kind):
    ours, sizes = ours_of(kind, language_model(kind)), sizes_of_ours(kind)
    again = from_transformers(to_transformers(ours.state_dict(), sizes), sizes)
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(again[name], tensor, rtol=1e-6, atol=1e-6, msg=name)


def test_a_missing_tensor_is_named():
    ours, sizes = ours_of("qwen2", language_model("qwen2")), sizes_of_ours("qwen2")
    theirs = to_transformers(ours.state_dict(), sizes)
    del theirs["model.layers.1.self_attn.k_proj.bias"]
    with pytest.raises(ValueError, match=r"no tensor model\.layers\.1\.self_attn\.k_proj\.bias"):
        from_transformers(theirs, sizes)
