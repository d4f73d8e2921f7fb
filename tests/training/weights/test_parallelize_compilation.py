"""Compiled blocks: the same gradients, and one compilation for rows of every length."""

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.models.transformer_config import BlockVariant
from unitok.training.weights import parallelize

SIZES = {"width": 32, "heads": 2, "kv_heads": 2, "head_width": 16, "hidden": 64}
OTHER = BlockVariant(qk_norm=False, qkv_bias=True, activation="gelu_tanh", rope_sections=(4, 2, 2))


@pytest.fixture
def counter(monkeypatch):
    """What is compiled is counted and runs as it is; nothing waits for a C++ compiler."""
    torch.compiler.reset()
    count, whole = CompileCounter(), torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda function, **options: whole(function, backend=count, **options)
    )
    monkeypatch.setattr(parallelize, "lacks_compiler", lambda device: None)
    yield count
    torch.compiler.reset()


def step(model: Transformer, rows: int, length: int, places: torch.Tensor | None = None) -> torch.Tensor:
    """The gradient of the first block's products, of rows that each hold two documents."""
    torch.manual_seed(length)
    ids = torch.randint(100, (rows, length))
    positions = torch.arange(length)[None, :, None].expand(rows, -1, 3)
    document = (positions[..., 0] > length // 2).long()
    model.zero_grad()
    model(ids, positions, document=document, places=places).square().sum().backward()
    return model.blocks[0].feed_forward.down.weight.grad.clone()


@pytest.mark.slow
@pytest.mark.parametrize("layers, variant", [(1, BlockVariant()), (2, OTHER)])
def test_one_compilation_serves_rows_of_every_length(counter, layers, variant):
    torch.manual_seed(0)
    sizes = TransformerSizes(max_length=512, layers=layers, variant=variant, **SIZES)
    model = Transformer(TransformerConfig(sizes, vocab_size=100))
    shapes = [
        (3, 100),
        (4, 130),
        (5, 131),
        (2, 140),
        (3, 260),
        (4, 300),
        (3, 301),
        (2, 385),
        (2, 390),
        (2, 400),
    ]
    plain = [step(model, *shape) for shape in shapes]
    assert parallelize.compile_blocks(model.blocks, device=torch.device("cpu"))
    compiled, counts = [], []
    for shape in shapes:
        compiled.append(step(model, *shape))
        counts.append(counter.frame_count)
    assert counts[0] > 0 and counts[-1] == counts[1], counts
    for shape, a, b in zip(shapes, plain, compiled, strict=True):
        torch.testing.assert_close(a, b, msg=lambda text, shape=shape: f"{shape}: {text}")


@pytest.mark.slow
def test_nothing_more_is_compiled_where_some_places_are_learned(counter):
    torch.manual_seed(0)
    model = Transformer(
        TransformerConfig(TransformerSizes(max_length=512, layers=2, **SIZES), vocab_size=100)
    )
    places = torch.arange(0, 256, 2).view(2, -1)
    plain = step(model, 4, 80, places)
    parallelize.compile_blocks(model.blocks, device=torch.device("cpu"))
    for rows, length in ((3, 100), (4, 130)):
        step(model, rows, length)
    count = counter.frame_count
    torch.testing.assert_close(step(model, 4, 80, places), plain)
    assert counter.frame_count == count
