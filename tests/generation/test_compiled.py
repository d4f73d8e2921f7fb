"""A seed's codes depend on neither the batch nor on compiled steps."""

import pytest
import torch

from tests.generation.test_generate import untrained
from tests.tiny_codecs import make_requests, tiny_codec
from unitok.device import lacks_compiler
from unitok.document import Codes, same
from unitok.generation.compiled import CompiledSteps, next_power_of_two
from unitok.generation.generate import generate
from unitok.generation.sampling import Sampling
from unitok.models.cpu.packed_weights import PrepackedWeight
from unitok.models.transformer_config import BlockVariant

CODEC = tiny_codec()
OTHER = BlockVariant(qk_norm=False, qkv_bias=True, activation="gelu_tanh", rope_sections=(4, 2, 2))


def drawn(model, *, batch: int, compile: bool, scale: float) -> list[list[Codes]]:
    """Eight images of one seed."""
    prompts = [[Codes("text", torch.tensor([i, 3, 5]), (3,))] for i in range(8)]
    options = {"target": "image", "seed": 11, "shapes": {"image": (3, 4)}}
    requests = make_requests(CODEC, prompts, sampling=Sampling(guidance_scale=scale), **options)
    return generate(model, CODEC, requests, batch_size=batch, compile=compile)


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_seed_gives_the_same_codes_in_batches_of_1_2_and_8(dtype, scale):
    model = untrained(CODEC, dtype)
    one, two, eight = (drawn(model, batch=batch, compile=False, scale=scale) for batch in (1, 2, 8))
    for number in range(8):
        assert same(one[number][-1], two[number][-1]) and same(one[number][-1], eight[number][-1])


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("dtype, variant", [(torch.float32, OTHER), (torch.float64, BlockVariant())])
def test_compiled_steps_give_the_same_codes_in_batches_of_1_2_and_8(dtype, variant, device):
    if (lack := lacks_compiler(torch.device(device))) is not None:
        pytest.skip(lack)
    model = untrained(CODEC, dtype, variant=variant).to(device)
    for block in model.blocks if variant.qkv_bias else ():
        torch.nn.init.normal_(block.attention.qkv_bias.weight)
    plain = drawn(model, batch=8, compile=False, scale=2.0)
    for batch in (1, 2, 8):
        compiled = drawn(model, batch=batch, compile=True, scale=2.0)
        assert all(same(a[-1], b[-1]) for a, b in zip(plain, compiled, strict=True))


@torch.no_grad()
def test_a_head_that_is_laid_out_follows_its_weights():
    model, block = untrained(CODEC, torch.bfloat16), range(4, 30)
    steps, hidden = CompiledSteps(model), torch.randn(8, model.sizes.width, dtype=torch.bfloat16)
    if not PrepackedWeight.helps(model.unembedding.weight):
        pytest.skip("no products of packed bfloat16 here")
    before = steps.head(hidden, block)
    torch.testing.assert_close(before, model.head(hidden, block), rtol=1e-2, atol=1e-2)
    model.unembedding.weight.mul_(2)
    torch.testing.assert_close(steps.head(hidden, block), 2 * before)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2, 8])
@torch.no_grad()
def test_compiled_steps_in_bfloat16_give_the_hidden_states_of_the_model_as_it_is(rows):
    if (lack := lacks_compiler(torch.device("cpu"))) is not None:
        pytest.skip(lack)
    model = untrained(CODEC, torch.bfloat16)
    steps, caches = CompiledSteps(model), [model.new_cache(rows, 32) for _ in range(2)]
    for held in range(4):
        ids, positions = torch.randint(4, 30, (rows, 1)), torch.full((rows, 1, 3), held)
        parts = [cache.slice_rows(0, [held] * rows) for cache in caches]
        actual, expected = steps(ids, positions, parts[0]), model(ids, positions, cache=parts[1])
        assert (actual - expected).norm() <= 0.03 * expected.norm()
        model.blocks[0].feed_forward.down.weight.mul_(-20)  # what comes next is another model's


def test_counts_are_rounded_up_to_powers_of_two():
    assert [next_power_of_two(n) for n in (1, 2, 3, 4, 5, 32, 33)] == [1, 2, 4, 4, 8, 32, 64]
