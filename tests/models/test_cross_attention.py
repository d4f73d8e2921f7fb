"""Gated cross-attention: who sees which image, however it is computed; peers where they are right."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.generation.test_engine import assert_alike, finished
from tests.generation.test_generate import untrained
from tests.tiny_codecs import seeing_codec, unpacked
from tests.tokens.test_vision_layout import some_document
from unitok.data.batches.packing import pack
from unitok.document import Codes, Features, same
from unitok.generation.engine import Engine
from unitok.generation.likelihood import scores
from unitok.generation.requests import Request
from unitok.generation.sampling import Sampling
from unitok.models.cross_attention import CrossAttention, CrossBlock
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.models.transformer_config import BlockVariant
from unitok.models.vision.resampler import Resampler

RESAMPLER = Resampler(queries=3, layers=1, heads=2, head_width=8)
KINDS = [
    (every, all_images, positions)
    for every, all_images, positions in (
        (1, False, "grid"),
        (2, True, "grid"),
        (2, False, "sequential"),
    )
]
SAMPLING = {
    "text": Sampling(max_new_tokens=6),
    "image": Sampling(guidance_scale=2.5, image_guidance_scale=1.7),
}


def open_gates(model: Transformer) -> Transformer:
    """As training would."""
    for name, weight in model.named_parameters():
        if name.endswith("_gate"):
            torch.nn.init.constant_(weight, 0.8)
    return model


@pytest.fixture(scope="module", params=KINDS, ids=str)
def seeing(request):
    """A codec whose images take one place, and a model that sees them by cross-attention."""
    every, all_images, positions = request.param
    codec = seeing_codec(positions=positions, bridge=RESAMPLER, one_place=True)
    variant = BlockVariant(cross_every=every, cross_all=all_images)
    return codec, open_gates(untrained(codec, torch.float64, variant=variant, max_length=200))


def some_documents(codec, count: int = 12) -> list[list[Codes]]:
    rng = random.Random(0)
    return [some_document(codec, rng) for _ in range(count)]


def read(model: Transformer, codec, document) -> torch.Tensor:
    """Hidden states of one document."""
    flat = codec.lay_out([document])
    ids, positions = torch.from_numpy(flat.ids)[None, :-1], torch.from_numpy(flat.positions)[None, :-1]
    return model(ids, positions, tiles=flat.tiles)[0]


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


@torch.no_grad()
def test_an_image_changes_what_is_after_it_alone(seeing):
    codec, model = seeing
    changed = 0
    for document in some_documents(codec, 30):
        places = [place for place, one in enumerate(document) if one.shown]
        if not places:
            continue
        other = list(document)
        features = document[places[-1]].features
        noise = Features(torch.rand_like(features.values), features.shape, b"other")
        other[places[-1]] = replace(document[places[-1]], features=noise)
        before, after = read(model, codec, document), read(model, codec, other)
        start = len(codec.lay_out([document[: places[-1]]], done=False).ids) + 1  # its begin, then its place
        assert torch.equal(before[:start], after[:start])
        changed += bool((before[start:] != after[start:]).any())
    assert changed > 8


@torch.no_grad()
def test_packed_documents_are_those_alone(seeing):
    codec, model = seeing
    documents = some_documents(codec)
    batch = pack(codec.lay_out(documents), length=60, pad=codec.vocabulary.pad)
    hidden = model(batch.ids, batch.positions, document=batch.document, tiles=batch.tiles)
    singles = [read(model, codec, document) for document in documents]
    assert not batch.one_per_row
    for one in unpacked(hidden, batch):
        assert any(one.shape == s.shape and torch.allclose(one, s, atol=1e-9) for s in singles)


@torch.no_grad()
def test_cached_tokens_are_those_read_at_once(seeing):
    codec, model = seeing
    for document in some_documents(codec, count=8):
        expected, flat = read(model, codec, document), codec.lay_out([document])
        ids, positions = torch.from_numpy(flat.ids)[None, :-1], torch.from_numpy(flat.positions)[None, :-1]
        cache, parts = model.new_cache(1, ids.shape[1], images=5), []
        for part in torch.arange(ids.shape[1]).split(4):
            parts.append(model(ids[:, part], positions[:, part], cache=cache, tiles=flat.tiles)[0])
        assert torch.allclose(torch.cat(parts), expected, atol=1e-9)


def request_of(codec, document, *, seed: int) -> Request:
    target = ("text", "image", None)[seed % 3]
    return Request(prompt=document, target=target, sampling=SAMPLING, seed=seed, max_segments=2)


def test_a_row_of_a_batch_is_the_row_alone(seeing):
    """Rows join late, end, are cancelled and are guided; each sees its own images."""
    codec, model = seeing
    documents = [[replace(one, learn=False) for one in document] for document in some_documents(codec, 16)]
    requests = [request_of(codec, document, seed=n) for n, document in enumerate(documents)]
    engine, together = Engine(model, codec), {}
    for number, request in enumerate(requests):
        engine.submit(request)
        if number % 3 == 0:
            together |= finished(engine.step())
        if number == 9:
            engine.cancel(8)
    together |= finished(engine.run())
    for number, request in enumerate(requests):
        if number != 8:
            single = Engine(model, codec)
            single.submit(request)
            assert_alike(together[number], finished(single.run())[0])


@pytest.mark.slow
def test_compiled_steps_write_the_same(seeing):
    codec, model = seeing
    model, results = Transformer(model.config, model.build_bridge), []
    open_gates(model).eval()
    for compile in (False, True):
        engine = Engine(model, codec, compile=compile)
        for number, document in enumerate(some_documents(codec)[:6]):
            shown = [replace(one, learn=False) for one in document]
            engine.submit(Request(prompt=shown, target="text", sampling=SAMPLING, seed=number))
        results.append(finished(engine.run()))
    for number, ended in results[0].items():
        assert all(map(same, ended.segments, results[1][number].segments))


def test_scores_do_not_depend_on_the_batch(seeing):
    codec, model = seeing
    documents = [document for document in some_documents(codec) if document and document[-1].codes.numel()]
    whole, single = (scores(model, codec, documents, batch_size=size) for size in (8, 1))
    for a, b in zip(whole, single, strict=True):
        assert a.log_probability == pytest.approx(b.log_probability, abs=1e-9)


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
