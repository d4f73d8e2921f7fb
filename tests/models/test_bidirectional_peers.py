"""A prefix is read as PaliGemma of transformers reads it: the logits are equal."""

from dataclasses import replace

import pytest
import torch

from tests.tiny_language_models import ROWS, ours_of, seeing_model
from unitok.models.transformer import Transformer, TransformerConfig

IMAGE, PLACES = 59, 9


@pytest.fixture(scope="module")
def theirs():
    model = seeing_model("PaliGemma")
    model.config.image_token_id = IMAGE
    return model


def ours(theirs, *, bidirectional: str) -> Transformer:
    """Our transformer with PaliGemma's language model; its tiles are vectors already."""
    causal = ours_of("gemma", theirs)
    sizes = replace(causal.sizes, variant=replace(causal.sizes.variant, bidirectional=bidirectional))
    model = Transformer(TransformerConfig(sizes, ROWS))
    model.load_state_dict(causal.state_dict())
    model.bridge = torch.nn.Identity()
    return model.eval()


@torch.no_grad()
def test_logits_behind_an_image_and_a_question_are_paligemmas(theirs):
    pixels, prompt, answer = torch.randn(1, 3, 24, 24), [5, 6, 7, 8], [9, 10, 11]
    ids = torch.tensor([[IMAGE] * PLACES + prompt + answer])
    answered = torch.tensor([[0] * (PLACES + len(prompt)) + [1] * len(answer)])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": answered}
    expected = theirs(pixel_values=pixels, **inputs).logits

    features = theirs.model.get_image_features(pixels)
    vectors = getattr(features, "pooler_output", features).flatten(0, 1)
    numbered = ids.clone()
    numbered[0, :PLACES] = ROWS + torch.arange(PLACES)
    positions = torch.arange(ids.shape[1])[None, :, None].expand(1, -1, 3)
    shown = {"tiles": vectors, "prefix": answered == 0}
    logits = {}
    for kind in ("prefix", "images", "none"):
        model = ours(theirs, bidirectional=kind)
        logits[kind] = model.head(model(numbered, positions, **shown))
    assert (logits["prefix"] - expected).abs().max() <= 1e-4
    assert all((logits[kind] - expected).abs().max() > 0.1 for kind in ("images", "none"))
