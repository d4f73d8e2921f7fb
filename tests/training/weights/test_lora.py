"""LoRA: no change at the start, exact merging, and only updates and new rows are trained."""

import pytest
import torch

from tests.generation.test_generate import untrained
from tests.models.test_cross_entropy import CODEC, random_batch, tiny_transformer
from tests.models.test_transformer_seeing import wake
from tests.tiny_codecs import seeing_codec, shown_image
from unitok.models.transformer import Transformer
from unitok.models.transformer_config import BlockVariant
from unitok.training.optimizers import OptimizerConfig, build_optimizer
from unitok.training.weights.lora import LoraConfig, add_adapters, freeze_known_rows, merge_adapters

pytest.importorskip("peft")


def hidden(model, batch):
    return model(batch.ids, batch.positions, document=batch.document)


def trained(model, batch, *, known: int) -> None:
    optimizer = build_optimizer(model, OptimizerConfig("adamw", lr=0.01, weight_decay=0.1))
    for _ in range(3):
        hidden(model, batch).square().mean().backward()
        freeze_known_rows(model, known_ids=[range(known)])
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("tie, qkv_bias", [(False, False), (True, True)])
def test_updates_begin_as_nothing_and_merge_into_what_was_trained(tie, qkv_bias):
    torch.manual_seed(0)
    variant = BlockVariant(qkv_bias=qkv_bias)
    model, (_, batch) = tiny_transformer(tie_embeddings=tie, variant=variant), random_batch()
    before, start = {n: w.clone() for n, w in model.state_dict().items()}, hidden(model, batch).detach()
    known = CODEC.modalities["text"].size
    add_adapters(model, LoraConfig(rank=2, alpha=4))
    assert torch.equal(hidden(model, batch), start)
    trained(model, batch, known=known)
    plain = merge_adapters(model)
    assert type(plain) is Transformer and not any("lora" in name for name in plain.state_dict())
    assert torch.allclose(hidden(plain, batch), hidden(model, batch), atol=1e-5)
    after = plain.state_dict()
    assert torch.equal(after["embedding.weight"][:known], before["embedding.weight"][:known])
    assert not torch.equal(after["embedding.weight"][known:], before["embedding.weight"][known:])
    assert not torch.equal(after["blocks.0.attention.qkv.weight"], before["blocks.0.attention.qkv.weight"])
    assert torch.equal(after["norm.weight"], before["norm.weight"])


def test_updates_of_images_are_trained_beside_and_kept():
    codec = seeing_codec()
    flat = codec.lay_out([[shown_image(codec, 1)]])
    shown = torch.from_numpy(flat.ids)[None], torch.from_numpy(flat.positions)[None]
    model = wake(untrained(codec, variant=BlockVariant(visual_rank=2)))
    start = model(*shown, tiles=flat.tiles).detach()
    add_adapters(model, LoraConfig(rank=2, alpha=4))
    assert torch.equal(model(*shown, tiles=flat.tiles), start)
    learned = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {name.split(".")[-1] for name in learned if "visual" in name} == {"visual_down", "visual_up"}
    assert not any("base_layer.weight" in name for name in learned)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    expected, merged = model(*shown, tiles=flat.tiles), merge_adapters(model)
    assert sum("visual" in name for name in merged.state_dict()) == 16
    assert torch.allclose(merged(*shown, tiles=flat.tiles), expected, atol=1e-5)
