"""LLaVA of transformers, with its weights in our transformer and its tower's features to our projector."""

import pytest
import torch

from unitok.interop.language.weights import from_transformers
from unitok.models.transformer import TransformerConfig, TransformerSizes, transformer_of
from unitok.models.transformer_config import BlockVariant
from unitok.models.vision.bridge import Bridge, Projector

transformers = pytest.importorskip("transformers")
IMAGE = 59
"""The placeholder of a place of an image in their ids."""


@pytest.fixture
def llava():
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2, image_size=24,
        patch_size=8,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=60, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128,
    )  # fmt: skip
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE, image_seq_length=9)
    return LlavaForConditionalGeneration(config).eval()


@torch.no_grad()
def test_logits_are_llavas(llava):
    own = {f"model.{name}": weight for name, weight in llava.model.language_model.state_dict().items()}
    weights, projector = {}, llava.model.multi_modal_projector.state_dict()
    for ours, theirs in (("first", "linear_1"), ("out", "linear_2")):
        for part in ("weight", "bias"):
            weights[f"bridge.layers.{ours}.{part}"] = projector[f"{theirs}.{part}"]
    sizes = TransformerSizes(
        width=48, layers=2, heads=4, kv_heads=2, head_width=12, hidden=64, norm_eps=1e-6, max_length=128,
        variant=BlockVariant(qk_norm=False),
    )  # fmt: skip
    weights |= from_transformers(own | {"lm_head.weight": llava.lm_head.weight}, sizes)
    model = transformer_of(
        TransformerConfig(sizes, vocab_size=60),
        weights,
        build_bridge=lambda width: Bridge(Projector(hidden=width, norm="none").build(32, width, (3, 3))),
    )
    pixels = torch.randn(2, 3, 24, 24)
    ids = torch.tensor([[1, *[IMAGE] * 9, 5, 6, 7], [3, 4, *[IMAGE] * 9, 8, 9]])
    expected = llava(input_ids=ids, pixel_values=pixels).logits
    features = llava.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
    ours = ids.clone()
    ours[ids == IMAGE] = torch.arange(60, 60 + 18)
    positions = torch.arange(13)[None, :, None].expand(2, -1, 3)
    logits = model.head(model(ours, positions, tiles=features))
    assert (logits - expected).abs().max() < 1e-4
    blank = model.head(model(ours, positions, tiles=torch.zeros_like(features)))
    assert (blank - expected).abs().max() > 1e-3
