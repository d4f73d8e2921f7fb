"""Attention in both directions inside prefixes and images: who sees whom, however it is computed."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.generation.test_engine import assert_alike, finished
from tests.generation.test_generate import untrained
from tests.tiny_codecs import check_packed, seeing_codec, shown_image
from tests.tokens.test_vision_layout import some_document
from unitok.data.batches.packing import IGNORED, pack
from unitok.document import Codes, same
from unitok.generation.engine import Engine
from unitok.generation.likelihood import scores
from unitok.generation.requests import Request
from unitok.generation.sampling import Sampling
from unitok.json_files import build_dataclass
from unitok.models.attention_backends import FlexMask, XformersMask
from unitok.models.bidirectional import number_images, prefix_of, same_part
from unitok.models.transformer import Transformer, TransformerSizes
from unitok.models.transformer_config import BlockVariant

KINDS = [(kind, positions) for kind in ("prefix", "images") for positions in ("grid", "sequential")]
SAMPLING = {
    "text": Sampling(max_new_tokens=6),
    "image": Sampling(guidance_scale=2.5, image_guidance_scale=1.7),
}


@pytest.fixture(scope="module", params=KINDS, ids=str)
def seeing(request):
    """A codec that sees, and a model with attention in both directions."""
    kind, positions = request.param
    codec = seeing_codec(positions=positions)
    return codec, untrained(codec, torch.float64, variant=BlockVariant(bidirectional=kind), max_length=200)


def some_documents(codec, count: int = 12) -> list[list[Codes]]:
    """Documents whose last segment alone is learned."""
    rng, found = random.Random(0), []
    while len(found) < count:
        *before, last = some_document(codec, rng) or [shown_image(codec, 0)]
        if last.codes.numel():
            shown = [Codes(one.modality, one.codes, one.shape, False, one.features) for one in before]
            found.append([*shown, Codes(last.modality, last.codes, last.shape)])
    return found


def prefix(batch) -> torch.Tensor:
    return prefix_of(batch.targets != IGNORED, batch.document)


def packed(model: Transformer, codec, documents, *, length: int) -> tuple[torch.Tensor, object]:
    batch = pack(codec.lay_out(documents), length=length, pad=codec.vocabulary.pad)
    options = {"document": batch.document, "tiles": batch.tiles, "prefix": prefix(batch)}
    return model(batch.ids, batch.positions, **options), batch


def alone(model: Transformer, codec, document) -> torch.Tensor:
    hidden, batch = packed(model, codec, [document], length=200)
    return hidden[batch.document >= 0]


@given(st.lists(st.tuples(st.integers(-1, 2), st.booleans()), min_size=1, max_size=20))
def test_a_prefix_ends_where_the_first_id_is_learned(tokens):
    tokens = sorted(tokens, key=lambda one: (one[0] < 0, one[0]))
    document, learned = (torch.tensor([column]) for column in zip(*tokens, strict=True))
    found = prefix_of(learned, document)[0].tolist()
    for place, (number, _) in enumerate(tokens):
        before = [flag for other, flag in tokens[:place] if other == number]
        assert found[place] == (number >= 0 and not any(before))


@given(st.lists(st.integers(5, 8), min_size=1, max_size=20))
def test_vectors_next_to_each_other_are_one_image(ids):
    numbers = number_images(torch.tensor([ids]), None, vectors_from=7)
    if max(ids) < 7:
        assert numbers is None
        return
    mask = same_part(numbers, numbers)[0, 0]
    for query in range(len(ids)):
        for key in range(len(ids)):
            between = ids[min(query, key) : max(query, key) + 1]
            assert mask[query, key] == all(token >= 7 for token in between)


@torch.no_grad()
def test_both_directions_change_what_is_read_and_no_id_sees_its_own_future(seeing):
    codec, model = seeing
    causal = Transformer(
        type(model.config)(replace(model.sizes, variant=BlockVariant()), model.config.vocab_size),
        model.build_bridge,
    ).to(torch.float64)
    causal.load_state_dict(model.state_dict())
    changed = 0
    for document in some_documents(codec):
        flat = codec.lay_out([document])
        ids, positions = torch.from_numpy(flat.ids)[None, :-1], torch.from_numpy(flat.positions)[None, :-1]
        learned = torch.from_numpy(flat.learn)[None, 1:]
        shown = {"tiles": flat.tiles, "prefix": prefix_of(learned, torch.zeros_like(ids))}
        hidden = model(ids, positions, **shown)
        changed += not torch.allclose(hidden, causal(ids, positions, tiles=flat.tiles), atol=1e-9)
        first = int(learned[0].long().argmax()) + 1
        if first < ids.shape[1]:
            other = ids.clone()
            other[0, -1] = (other[0, -1] + 1) % 30
            assert torch.equal(model(other, positions, **shown)[0, :-1], hidden[0, :-1])
    assert changed > 4


def test_packed_documents_are_those_alone(seeing):
    codec, model = seeing
    documents = some_documents(codec)
    for gradients in (False, True):  # the mask whole, and by blocks
        with torch.set_grad_enabled(gradients):
            hidden, batch = packed(model, codec, documents, length=90)
            singles = [alone(model, codec, document) for document in documents]
        check_packed(hidden, batch, singles)


@torch.no_grad()
def test_flex_attention_is_the_dense_masks(seeing):
    codec, model = seeing
    documents = some_documents(codec)
    dense, batch = packed(model, codec, documents, length=90)
    kept, model.packed_mask = model.packed_mask, lambda *parts: FlexMask(*parts, compiled=False)
    try:
        flex, _ = packed(model, codec, documents, length=90)
    finally:
        model.packed_mask = kept
    assert torch.allclose(flex[batch.document >= 0], dense[batch.document >= 0], atol=1e-9)


def test_xformers_refuses_both_directions():
    with pytest.raises(ValueError, match="sdpa or flex, got xformers"):
        XformersMask(torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 3, dtype=torch.long))


def request_of(codec, document, *, seed: int) -> Request:
    return Request(prompt=document[:-1], target=document[-1].modality, sampling=SAMPLING, seed=seed)


def test_a_row_of_a_batch_is_the_row_alone(seeing):
    codec, model = seeing
    requests = [request_of(codec, document, seed=n) for n, document in enumerate(some_documents(codec))]
    engine, together = Engine(model, codec), {}
    for number, request in enumerate(requests):
        engine.submit(request)
        if number % 3 == 0:  # some join later
            together |= finished(engine.step())
    together |= finished(engine.run())
    for number, request in enumerate(requests):
        single = Engine(model, codec)
        single.submit(request)
        assert_alike(together[number], finished(single.run())[0])


@torch.no_grad()
def test_cached_tokens_are_those_read_at_once(seeing):
    """A prompt is read whole, what comes after it id by id."""
    codec, model = seeing
    for document in some_documents(codec, count=8):
        flat = codec.lay_out([document])
        ids, positions = torch.from_numpy(flat.ids)[None, :-1], torch.from_numpy(flat.positions)[None, :-1]
        prompt = prefix_of(torch.from_numpy(flat.learn)[None, 1:], torch.zeros_like(ids))
        expected = model(ids, positions, tiles=flat.tiles, prefix=prompt)
        cache, parts = model.new_cache(1, ids.shape[1]), []
        sizes = [int(prompt.sum()), *[1] * int((~prompt).sum())]
        for places in torch.arange(ids.shape[1]).split(sizes):
            options = {"tiles": flat.tiles, "prefix": prompt[:, places]}
            parts.append(model(ids[:, places], positions[:, places], cache=cache, **options))
        assert torch.allclose(torch.cat(parts, 1), expected, atol=1e-9)


def test_scores_do_not_depend_on_the_batch(seeing):
    codec, model = seeing
    whole, single = (scores(model, codec, some_documents(codec), batch_size=size) for size in (8, 1))
    for a, b in zip(whole, single, strict=True):
        assert a.log_probability == pytest.approx(b.log_probability, abs=1e-9)


@pytest.mark.slow
def test_compiled_steps_write_the_same(seeing):
    codec, model = seeing
    model, results = Transformer(model.config, model.build_bridge).eval(), []
    for compile in (False, True):
        engine = Engine(model, codec, compile=compile)
        for number, document in enumerate(some_documents(codec)[:6]):
            engine.submit(request_of(codec, document, seed=number))
        results.append(finished(engine.run()))
    for number, ended in results[0].items():
        assert all(map(same, ended.segments, results[1][number].segments))


def test_what_is_drawn_at_temperature_zero_is_what_scores_best(seeing):
    """Decoding reads a prompt as scores do: of all last codes, the one that was chosen is the likeliest."""
    codec, model = seeing
    prompt = [shown_image(codec, 1), Codes("text", torch.tensor([5, 6]), (2,))]
    greedy = {"text": Sampling(max_new_tokens=4), "image": Sampling(temperature=0.0)}
    engine = Engine(model, codec)
    engine.submit(Request(prompt=prompt, target="image", sampling=greedy, shapes={"image": (2, 2)}))
    (image,) = finished(engine.run())[0].segments
    others = []
    for code in range(codec.modalities["image"].size):
        codes = image.codes.clone()
        codes[-1] = code
        others.append([*prompt, Codes("image", codes, image.shape)])
    likeliest = max(
        range(len(others)), key=[s.log_probability for s in scores(model, codec, others)].__getitem__
    )
    assert likeliest == int(image.codes[-1])


def test_sizes_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"bidirectional must be .*, got 'both'"):
        build_dataclass(BlockVariant, {"bidirectional": "both"})
    with pytest.raises(ValueError, match="latest_image needs bidirectional=none, got prefix"):
        TransformerSizes(variant=BlockVariant(bidirectional="prefix"), latest_image=True)
