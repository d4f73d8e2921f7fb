"""Gated cross-attention: who sees which image; peers where they are right."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.generation.test_generate import untrained
from tests.models.test_transformer_seeing import RESAMPLER, some_documents
from tests.tiny_codecs import seeing_codec
from unitok.models.cross_attention import CrossAttention, CrossBlock
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.models.transformer_config import BlockVariant


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=20), st.booleans())
def test_a_token_sees_the_images_before_it_in_its_own_document(tokens, all_images):
    tokens = sorted(tokens, key=lambda one: one[0])
    variant = BlockVariant(cross_every=1, cross_all=all_images)
    cross = CrossAttention(
        TransformerSizes(width=8, layers=1, heads=1, kv_heads=1, variant=variant), vectors_from=5
    )
    torch.nn.init.zeros_(cross.place)
    count = sum(place for _, place in tokens)
    numbers = iter(torch.randperm(max(1, count)).tolist())
    ids = torch.tensor([[5 + next(numbers) if place else 1 for _, place in tokens]])
    document = torch.tensor([[number for number, _ in tokens]])
    memory = cross.see(ids, torch.randn(max(1, count), 2, 8), document)
    for query, (own, _) in enumerate(tokens):
        before = [
            number
            for number, place in enumerate(p for p, (_, is_place) in enumerate(tokens) if is_place)
            if place <= query and tokens[place][0] == own
        ]
        expected = before if all_images else before[-1:]
        assert bool(memory.sees[0, query]) == bool(expected)
        if expected:
            seen = memory.mask[0, 0, query].unflatten(0, (-1, 2))
            assert (
                seen.all(1).nonzero().flatten().tolist()
                == expected
                == seen.any(1).nonzero().flatten().tolist()
            )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_with_gates_of_zero_the_logits_are_those_of_the_model_without_to_the_bit(dtype):
    codec = seeing_codec(bridge=RESAMPLER, one_place=True)
    crossed = untrained(codec, dtype, variant=BlockVariant(cross_every=1))
    plain = Transformer(
        TransformerConfig(replace(crossed.sizes, variant=BlockVariant()), codec.vocabulary.size),
        codec.build_bridge,
    )
    weights = crossed.state_dict()
    plain.to(dtype).load_state_dict({name: weights[name] for name in plain.state_dict()})
    for document in some_documents(codec):
        flat = codec.lay_out([document])
        ids, positions = torch.from_numpy(flat.ids)[None, :-1], torch.from_numpy(flat.positions)[None, :-1]
        seen, seen_by_plain = {} if flat.tiles is None else {"tiles": flat.tiles}, {}
        if seen:  # the place of an image holds one learned vector
            plain.bridge = torch.nn.Identity()
            seen_by_plain = {"tiles": crossed.cross.place.expand(len(flat.tiles), -1)}
        assert torch.equal(crossed(ids, positions, **seen), plain(ids, positions, **seen_by_plain))


def peer_block(*, kv_heads: int, qk_norm: bool) -> CrossBlock:
    sizes = {"width": 32, "layers": 1, "heads": 4, "kv_heads": kv_heads, "head_width": 8, "hidden": 48}
    variant = BlockVariant(qk_norm=qk_norm, cross_every=1)
    return CrossBlock(TransformerSizes(**sizes, norm_eps=1e-5, variant=variant))


def memory_of(block: CrossBlock, states: torch.Tensor, mask: torch.Tensor):
    from unitok.models.kv_cache import Memory

    sees = mask.any(-1, keepdim=True)
    return Memory((block.read(states),), (mask | ~sees)[:, None], sees)


@pytest.fixture
def inputs():
    """Tokens, vectors of images, and what each token sees: the first two see none."""
    mask = torch.rand(2, 7, 10) < 0.5
    mask[:, :2], mask[:, 2:, 0] = False, True
    return torch.randn(2, 7, 32), torch.randn(2, 10, 32), mask


@torch.no_grad()
def test_a_block_is_that_of_llama_3_2_vision_where_a_token_sees_an_image(inputs):
    from transformers import MllamaConfig
    from transformers.models.mllama.modeling_mllama import MllamaCrossAttentionDecoderLayer

    config = MllamaConfig(text_config={
        "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2,
        "num_hidden_layers": 2, "cross_attention_layers": [1], "rms_norm_eps": 1e-5,
    }).text_config  # fmt: skip
    config._attn_implementation = "eager"
    theirs = MllamaCrossAttentionDecoderLayer(config, 1).eval()
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    ours = peer_block(kv_heads=2, qk_norm=True)
    w = theirs.state_dict()
    ours.load_state_dict({
        "attention_norm.weight": w["input_layernorm.weight"],
        "queries.weight": w["cross_attn.q_proj.weight"],
        "keys_values.weight": torch.cat((w["cross_attn.k_proj.weight"], w["cross_attn.v_proj.weight"])),
        "out.weight": w["cross_attn.o_proj.weight"],
        "query_norm.weight": w["cross_attn.q_norm.weight"], "key_norm.weight": w["cross_attn.k_norm.weight"],
        "attention_gate": w["cross_attn_attn_gate"], "feed_forward_gate": w["cross_attn_mlp_gate"],
        "feed_forward_norm.weight": w["post_attention_layernorm.weight"],
        "feed_forward.gate_up.weight": torch.cat((w["mlp.gate_proj.weight"], w["mlp.up_proj.weight"])),
        "feed_forward.down.weight": w["mlp.down_proj.weight"],
    })  # fmt: skip
    x, states, mask = inputs
    sees = mask.any(-1, keepdim=True)
    hidden = torch.where(mask | ~sees, 0.0, torch.finfo(torch.float32).min)[:, None]
    expected = theirs(x, states, hidden, None, sees[:, None].float())
    expected = expected[0] if isinstance(expected, tuple) else expected
    found = ours(x, memory_of(ours, states, mask), 0)
    assert (found - expected)[:, 2:].abs().max() <= 1e-4
    assert torch.equal(found[:, :2], x[:, :2])  # theirs lets a token that sees no image see all of them
    assert (expected[:, :2] - x[:, :2]).abs().max() > 0.1


@torch.no_grad()
def test_a_block_is_that_of_idefics_where_a_token_sees_an_image(inputs):
    from transformers import IdeficsConfig
    from transformers.models.idefics.modeling_idefics import IdeficsGatedCrossAttentionLayer

    config = IdeficsConfig(
        hidden_size=32, intermediate_size=48, num_attention_heads=4, rms_norm_eps=1e-5, qk_layer_norms=False,
        vision_config={"embed_dim": 32}, alpha_type="float", alpha_initializer="ones",
    )  # fmt: skip
    config._attn_implementation = "eager"
    theirs = IdeficsGatedCrossAttentionLayer(config, 0).eval()
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    ours, w = peer_block(kv_heads=4, qk_norm=False), theirs.state_dict()
    ours.load_state_dict({
        "attention_norm.weight": w["input_layernorm.weight"],
        "queries.weight": w["cross_attn.q_proj.weight"],
        "keys_values.weight": torch.cat((w["cross_attn.k_proj.weight"], w["cross_attn.v_proj.weight"])),
        "out.weight": w["cross_attn.o_proj.weight"],
        "attention_gate": w["alpha_cross_attn"], "feed_forward_gate": w["alpha_dense"],
        "feed_forward_norm.weight": w["post_attention_layernorm.weight"],
        "feed_forward.gate_up.weight": torch.cat((w["mlp.gate_proj.weight"], w["mlp.up_proj.weight"])),
        "feed_forward.down.weight": w["mlp.down_proj.weight"],
    })  # fmt: skip
    x, states, mask = inputs
    sees = mask.any(-1)
    hidden = torch.where(mask | ~sees[..., None], 0.0, torch.finfo(torch.float32).min)[:, None]
    expected = theirs(x, None, states, hidden, sees.float())
    expected = expected[0] if isinstance(expected, tuple) else expected
    found = ours(x, memory_of(ours, states, mask), 0)
    assert (found - expected)[:, 2:].abs().max() <= 1e-4
    assert torch.equal(found[:, :2], x[:, :2])  # theirs moves texts without images by its feed-forward layer


def test_sizes_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"cross_every must be in 0..2, the layers, got 3"):
        TransformerSizes(layers=2, variant=BlockVariant(cross_every=3))
    with pytest.raises(ValueError, match="latest_image needs variant"):
        TransformerSizes(latest_image=True, variant=BlockVariant(cross_every=1))
