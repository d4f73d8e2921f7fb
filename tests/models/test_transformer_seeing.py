"""Models that see in their own way are the same however computed: packed, cached, batched or compiled."""

import random
from dataclasses import replace

import pytest
import torch

from tests.generation.test_engine import assert_alike, finished
from tests.generation.test_generate import untrained
from tests.tiny_codecs import check_packed, seeing_codec
from tests.tokens.test_vision_layout import some_document
from unitok.data.batches.packing import pack
from unitok.document import Codes, Features, same
from unitok.generation.engine import Engine
from unitok.generation.likelihood import scores
from unitok.generation.requests import Request
from unitok.generation.sampling import Sampling
from unitok.models.transformer import Transformer
from unitok.models.transformer_config import BlockVariant
from unitok.models.vision.resampler import Resampler

RESAMPLER = Resampler(queries=3, layers=1, heads=2, head_width=8)
KINDS = {
    "cross": ("grid", BlockVariant(cross_every=1)),
    "cross to all": ("grid", BlockVariant(cross_every=2, cross_all=True)),
    "cross, sequential": ("sequential", BlockVariant(cross_every=2)),
    "visual": ("grid", BlockVariant(visual_rank=2)),
    "visual, sequential": ("sequential", BlockVariant(visual_rank=3, qkv_bias=True, qk_norm=False)),
    "visual and cross": ("grid", BlockVariant(visual_rank=2, cross_every=1)),
}
SAMPLING = {
    "text": Sampling(max_new_tokens=6),
    "image": Sampling(guidance_scale=2.5, image_guidance_scale=1.7),
}


def wake(model: Transformer) -> Transformer:
    """As training would: gates and updates that start as zero do something."""
    for name, weight in model.named_parameters():
        if name.endswith("_gate"):
            torch.nn.init.constant_(weight, 0.8)
        if name.endswith("visual_up"):
            torch.nn.init.normal_(weight)
    return model


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def seeing(request):
    """A codec whose images take one place each with cross-attention, and a model that sees them."""
    positions, variant = request.param
    codec = seeing_codec(positions=positions, bridge=RESAMPLER, one_place=bool(variant.cross_every))
    return codec, wake(untrained(codec, torch.float64, variant=variant, max_length=200))


def some_documents(codec, count: int = 12) -> list[list[Codes]]:
    rng = random.Random(0)
    return [some_document(codec, rng) for _ in range(count)]


def read(model: Transformer, codec, document) -> torch.Tensor:
    """Hidden states of one document."""
    flat = codec.lay_out([document])
    ids, positions = torch.from_numpy(flat.ids)[None, :-1], torch.from_numpy(flat.positions)[None, :-1]
    return model(ids, positions, tiles=flat.tiles)[0]


@torch.no_grad()
def test_states_of_some_places_are_those_of_all(seeing):
    codec, model = seeing
    for document in some_documents(codec, 6):
        flat = codec.lay_out([document])
        ids, positions = torch.from_numpy(flat.ids)[None, :-1], torch.from_numpy(flat.positions)[None, :-1]
        some = torch.randperm(ids.numel())[: ids.numel() // 2]
        found = model(ids, positions, tiles=flat.tiles, places=some)
        assert torch.allclose(found, read(model, codec, document)[some], atol=1e-12)


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
    check_packed(hidden, batch, singles)


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
    wake(model).eval()
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
