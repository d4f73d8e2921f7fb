"""Hidden states of documents with vectors are the same however computed: packed, cached, compiled."""

import random

import pytest
import torch

from tests.generation.test_engine import finished
from tests.generation.test_generate import untrained
from tests.tiny_codecs import SEEING, seeing_codec, unpacked
from tests.tokens.test_vision_layout import images_of, some_document
from unitok.data.batches.packing import pack
from unitok.document import Codes, same
from unitok.generation.engine import Engine
from unitok.generation.requests import Request
from unitok.generation.sampling import Sampling


@pytest.fixture(scope="module", params=SEEING.values(), ids=SEEING)
def codec(request):
    return seeing_codec(**request.param)


@pytest.fixture(scope="module")
def model(codec):
    return untrained(codec, torch.float64)


def some_documents(codec, count=12) -> list[list[Codes]]:
    rng = random.Random(0)
    return [some_document(codec, rng) for _ in range(count)]


@torch.no_grad()
def alone(model, codec, codes: list[Codes]) -> torch.Tensor:
    flat = codec.lay_out([codes])
    ids, positions = torch.from_numpy(flat.ids)[None, :-1], torch.from_numpy(flat.positions)[None, :-1]
    return model(ids, positions, tiles=flat.tiles)[0]


@torch.no_grad()
def test_packed_documents_are_those_alone(model, codec):
    documents = some_documents(codec)
    flat = codec.lay_out(documents)
    batch = pack(flat, length=160, pad=codec.vocabulary.pad)
    assert batch.tiles is not None and not batch.one_per_row
    hidden = model(batch.ids, batch.positions, document=batch.document, tiles=batch.tiles)
    packed = unpacked(hidden, batch)
    singles = [alone(model, codec, codes) for codes in documents]
    for one in packed:
        assert any(one.shape == other.shape and torch.allclose(one, other, atol=1e-9) for other in singles)
    assert len(packed) == len(singles)


@torch.no_grad()
def test_cached_ids_and_vectors_are_those_read_at_once(model, codec):
    for codes in some_documents(codec, count=6):
        expected, flat = alone(model, codec, codes), codec.lay_out([codes])
        ids, positions = torch.from_numpy(flat.ids)[None, :-1], torch.from_numpy(flat.positions)[None, :-1]
        cache, parts = model.new_cache(1, ids.shape[1]), []
        for part in torch.arange(ids.shape[1]).split(5):
            parts.append(model(ids[:, part], positions[:, part], cache=cache, tiles=flat.tiles)[0])
        assert torch.allclose(torch.cat(parts), expected, atol=1e-9)


@torch.no_grad()
def test_an_id_beyond_the_table_is_an_error(model, codec):
    shown = images_of(codec)[0].features
    ids = torch.tensor([[codec.vocabulary.vectors(shown.count + 1)[-1]]])
    with pytest.raises(IndexError):
        model(ids, torch.zeros(1, 1, 3, dtype=torch.long), tiles=shown.values)


@pytest.mark.slow
def test_compiled_steps_write_the_same():
    codec = seeing_codec()
    model, sampling = untrained(codec), dict.fromkeys(codec.modalities, Sampling(max_new_tokens=6))
    results = []
    for compile in (False, True):
        engine = Engine(model, codec, compile=compile)
        for copy, image in enumerate(images_of(codec)):
            engine.submit(Request(prompt=[image], target="text", sampling=sampling, copy=copy))
        results.append(finished(engine.run()))
    for number, ended in results[0].items():
        assert all(map(same, ended.segments, results[1][number].segments))
