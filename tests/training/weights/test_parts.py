"""Each weight belongs to one part, and rows to those of their ids."""

import pytest
import torch

from tests.generation.test_generate import untrained
from tests.tiny_codecs import seeing_codec, tiny_codec
from unitok.models.transformer_config import BlockVariant
from unitok.training.weights.parts import TrainedParts, complement, part_of


def test_ids_outside_of_ranges_are_found():
    assert complement([range(2, 4), range(4, 6), range(9, 10)], 12) == [range(2), range(6, 9), range(10, 12)]
    assert complement([range(12)], 12) == [] and complement([], 3) == [range(3)]


@pytest.mark.parametrize(
    ("parts", "trained"),
    [
        (None, {"bridge", "bridge.out", "blocks", "visual", "embeddings"}),
        (["bridge"], {"bridge", "bridge.out"}),
        (["bridge.out"], {"bridge.out"}),
        (["blocks", "rows"], {"blocks", "embeddings"}),
        (["visual"], {"visual"}),
        (["words"], {"embeddings"}),
    ],
)
def test_weights_of_other_parts_have_no_gradient(parts, trained):
    model = untrained(seeing_codec(), variant=BlockVariant(visual_rank=2))
    TrainedParts(parts, model, known_ids=[range(5)]).freeze(model)
    assert {part_of(name) for name, weight in model.named_parameters() if weight.requires_grad} == trained


@pytest.mark.parametrize(
    ("parts", "rows"), [(["rows"], slice(5, None)), (["words"], slice(5)), (None, slice(0))]
)
def test_rows_of_other_parts_have_a_gradient_of_zero(parts, rows):
    model = untrained(seeing_codec())
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    TrainedParts(parts, model, known_ids=[range(2, 5), range(2)]).freeze_rows(model)
    expected = torch.ones_like(model.embedding.weight)
    if parts is not None:
        expected.zero_()[rows] = 1
    assert torch.equal(model.embedding.weight.grad, expected)
    assert torch.equal(model.unembedding.weight.grad, expected)


@pytest.mark.parametrize(
    ("parts", "codec"),
    [
        ([], seeing_codec),
        (["bridge"], tiny_codec),
        (["bridge.out"], tiny_codec),
        (["eyes"], seeing_codec),
        (["bridge", "cross"], seeing_codec),
        (["visual"], seeing_codec),
    ],
)
def test_parts_that_a_model_lacks_are_named(parts, codec):
    with pytest.raises(ValueError, match=r"parts must be some of .*blocks, got \["):
        TrainedParts(parts, untrained(codec()), known_ids=[])
