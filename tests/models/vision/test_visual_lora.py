"""Updates that the vectors of images alone see: nothing at first, nothing for texts, else a naive sum's."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.generation.test_generate import untrained
from tests.models.test_transformer_seeing import some_documents, wake
from tests.tiny_codecs import seeing_codec
from unitok.models.cpu.linear import Linear
from unitok.models.transformer import Transformer, TransformerConfig
from unitok.models.transformer_config import BlockVariant
from unitok.models.vision.visual_lora import VisualLinear, matrix_of

CODEC = seeing_codec()


class Naive(nn.Module):
    """Each token by a matrix of its own kind: x W, or x (W + A B) where an image is seen."""

    def __init__(self, layer: VisualLinear, seen: Tensor):
        super().__init__()
        self.text, self.image = layer.weight, layer.weight + layer.visual_up @ layer.visual_down
        self.seen = seen

    def forward(self, x: Tensor, *visual: Tensor) -> Tensor:
        rows = zip(x[0], self.seen[0], strict=True)
        return torch.stack([(self.image if seen else self.text) @ one for one, seen in rows])[None]


def plain_model(model: Transformer) -> Transformer:
    """The same weights without updates."""
    config = TransformerConfig(replace(model.sizes, variant=BlockVariant()), CODEC.vocabulary.size)
    plain, weights = Transformer(config, CODEC.build_bridge), model.state_dict()
    plain.to(model.norm.weight.dtype).load_state_dict({name: weights[name] for name in plain.state_dict()})
    return plain


def inputs_of(document) -> tuple[Tensor, Tensor, Tensor | None]:
    flat = CODEC.lay_out([document])
    return torch.from_numpy(flat.ids)[None, :-1], torch.from_numpy(flat.positions)[None, :-1], flat.tiles


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_at_first_the_logits_are_those_of_the_model_without_to_the_bit(dtype):
    model = untrained(CODEC, dtype, variant=BlockVariant(visual_rank=3))
    plain, differ = plain_model(model), 0
    for document in some_documents(CODEC):
        ids, positions, tiles = inputs_of(document)
        expected = plain(ids, positions, tiles=tiles)
        assert torch.equal(model(ids, positions, tiles=tiles), expected)
        wake(model)
        differ += not torch.equal(model(ids, positions, tiles=tiles), expected)
        for name, weight in model.named_parameters():
            if name.endswith("visual_up"):
                nn.init.zeros_(weight)
    assert differ > 4


@torch.no_grad()
def test_what_is_before_an_image_and_texts_without_stay_to_the_bit():
    model = wake(untrained(CODEC, variant=BlockVariant(visual_rank=3)))
    plain, texts = plain_model(model), 0
    for document in some_documents(CODEC, 30):
        ids, positions, tiles = inputs_of(document)
        places = (ids[0] >= CODEC.vocabulary.size).nonzero().flatten().tolist()
        first = places[0] if places else ids.shape[1]
        hidden, expected = (one(ids, positions, tiles=tiles) for one in (model, plain))
        assert torch.equal(hidden[:, :first], expected[:, :first])
        texts += not places
    assert texts > 4


@torch.no_grad()
def test_a_model_is_that_of_a_naive_sum_for_each_token():
    for document in some_documents(CODEC, 6):
        model = wake(untrained(CODEC, torch.float64, variant=BlockVariant(visual_rank=2)))
        ids, positions, tiles = inputs_of(document)
        found, seen = model(ids, positions, tiles=tiles), ids >= CODEC.vocabulary.size
        for block in model.blocks:
            for part, names in ((block.attention, ("qkv", "out")), (block.feed_forward, ("gate_up", "down"))):
                for name in names:
                    setattr(part, name, Naive(getattr(part, name), seen))
        assert torch.allclose(model(ids, positions, tiles=tiles), found, atol=1e-9)


def test_a_model_without_has_plain_matrices_and_no_weight_more():
    assert matrix_of(0) is Linear
    assert not any("visual" in name for name, _ in untrained(CODEC).named_parameters())
    assert "visual_rank" not in untrained(CODEC).config.to_json()


def test_a_rank_below_zero_is_refused():
    with pytest.raises(ValueError, match=r"variant.visual_rank must be at least 0, got -1"):
        BlockVariant(visual_rank=-1)
