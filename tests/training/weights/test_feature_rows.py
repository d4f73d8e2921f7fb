"""Codes that share an MLP of their features: rows move together, and the merged model is the trained one."""

import pytest
import torch

from tests.tiny_model import tiny_model
from unitok.training.optimizers import OptimizerConfig, build_optimizer
from unitok.training.weights.feature_rows import SHARED, merge_features
from unitok.training.weights.init_embeddings import init_from_features


@pytest.fixture
def tiny():
    """A transformer whose codes share an MLP of four channels, and the ids of its images' codes."""
    torch.manual_seed(0)
    model = tiny_model()
    init_from_features(model.model, model.codec, scale=0.3, hidden=4)
    return model.model, model.codec.vocabulary.to_range("image", model.codec.modalities["image"].cells)


def test_a_step_on_one_code_moves_the_codes_that_look_like_it_and_no_word(tiny):
    model, codes = tiny
    ids = torch.arange(model.config.vocab_size)
    before = model.embedding(ids).detach()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.embedding(ids[codes.start : codes.start + 1]).sum().backward()
    optimizer.step()
    moved = (model.embedding(ids) - before).abs().sum(-1) > 0
    assert moved[codes.start : codes.stop].all() and moved.sum() == len(codes)


def test_the_merged_model_is_a_plain_one_with_the_same_outputs(tiny):
    model, _ = tiny
    ids, positions = torch.randint(model.config.vocab_size, (2, 9)), torch.arange(9)[None, :, None]
    merged = merge_features(model)
    assert not any(name.startswith(SHARED) for name in merged.state_dict())
    positions = positions.expand(2, -1, 3)
    assert torch.equal(merged(ids, positions), model(ids, positions))
    assert merge_features(merged) is merged


def test_its_matrices_are_updated_as_those_of_the_blocks_are(tiny):
    model, _ = tiny
    groups = build_optimizer(model, OptimizerConfig()).param_groups
    place = {id(weight): number for number, group in enumerate(groups) for weight in group["params"]}
    where = {name: place[id(weight)] for name, weight in model.named_parameters()}
    of_blocks, of_rows = where["blocks.0.attention.out.weight"], where["embedding.weight"]
    assert of_blocks != of_rows
    for name in (name for name in where if name.startswith(SHARED)):
        assert where[name] == (of_rows if name.endswith("bias") else of_blocks)


def test_without_a_scale_or_channels_the_embedding_stays_a_plain_one(tiny):
    for options in ({"scale": 0.0, "hidden": 4}, {"scale": 0.3}):
        model = tiny_model()
        init_from_features(model.model, model.codec, **options)
        assert type(model.model.embedding) is torch.nn.Embedding
