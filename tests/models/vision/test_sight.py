"""What a model sees with, and by what attention, is told by `unitok info` and by the model card."""

import json

import pytest

from tests.tiny_model import tiny_model
from unitok.modalities.vision import VisionConfig
from unitok.models.transformer_config import BlockVariant, TransformerConfig, TransformerSizes
from unitok.models.vision.sight import BOTH_WAYS, describe_sight

ALL = "to all images before a token, before every 1. block"


def facts(vision: VisionConfig | None = None, **variant) -> dict[str, str]:
    config = TransformerConfig(TransformerSizes(variant=BlockVariant(**variant)), vocab_size=9)
    return dict(describe_sight(config.to_json(), None if vision is None else vision.to_json()))


def test_nothing_is_told_of_a_causal_model_that_reads_codes():
    assert facts() == {}


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ({"bidirectional": "prefix"}, {"attention": BOTH_WAYS["prefix"]}),
        ({"bidirectional": "images"}, {"attention": BOTH_WAYS["images"]}),
        ({"visual_rank": 4}, {"visual updates": "of rank 4, which the vectors of images alone see"}),
        ({"cross_every": 2}, {"cross-attention": "to the most recent image, before every 2. block"}),
        ({"cross_every": 1, "cross_all": True}, {"cross-attention": ALL}),
    ],
)  # fmt: skip
def test_attention_is_told(variant, said):
    assert facts(**variant) == said


def test_a_card_tells_what_its_model_sees_with(tmp_path):
    tiny_model(vision=VisionConfig(tiles=4)).save_pretrained(tmp_path / "model")
    card = (tmp_path / "model/README.md").read_text(encoding="utf-8")
    assert "| shown images | seen by Latents through a Projector, in at most 4 tiles |" in card
    assert "vision" in json.loads((tmp_path / "model/config.json").read_text(encoding="utf-8"))
