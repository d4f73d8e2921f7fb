"""Text sees the most recent image alone: the mask itself, and cached, packed and compiled models under it."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.generation.test_generate import untrained
from tests.tiny_codecs import lay_flat, random_codes, tiny_codec
from unitok.data.batches.packing import pack
from unitok.generation.engine import Engine
from unitok.generation.requests import DocumentDone, Request
from unitok.generation.sampling import Sampling
from unitok.models.latest_image_mask import image_numbers, latest_image_mask
from unitok.models.transformer import TransformerConfig, TransformerSizes

CODEC = tiny_codec()
WORDS = CODEC.vocabulary
IMAGES = (WORDS.block("image").start, WORDS.begin("image") + 1)
SEEING = dict.fromkeys(CODEC.modalities, Sampling(max_new_tokens=6))


def model_of(*, latest: bool):
    return untrained(CODEC, torch.float64, max_length=300, latest_image=latest, images=IMAGES)


def documents(count: int, seed: int = 0):
    rng = random.Random(seed)
    return [CODEC.join(random_codes(CODEC, rng) + random_codes(CODEC, rng)) for _ in range(count)]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_text_sees_all_text_and_the_codes_of_one_image(ids):
    """Ids 3 to 5 are codes and the end, 6 begins an image; the others are text."""
    row = torch.tensor([ids])
    numbers = image_numbers(row, (3, 7), before=torch.tensor([0]))
    mask = latest_image_mask(numbers, torch.arange(len(ids))[None])[0, 0].tril()
    begins = [i for i, token in enumerate(ids) if token == 6]
    for query in range(len(ids)):
        start = max((i for i in begins if i <= query), default=0)  # codes before the first begin are no image
        for key in range(query + 1):
            hidden = ids[query] < 3 and ids[key] >= 3 and key < start and any(i <= key for i in begins)
            assert mask[query, key] == (not hidden)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=30), st.data())
def test_numbers_of_a_row_in_parts_are_those_of_the_row(ids, data):
    cut = data.draw(st.integers(1, len(ids) - 1))
    whole = image_numbers(torch.tensor([ids]), (3, 7), before=torch.tensor([0]))
    before = torch.tensor([ids[:cut].count(6)])
    assert torch.equal(image_numbers(torch.tensor([ids[cut:]]), (3, 7), before=before), whole[:, cut:])


@torch.no_grad()
def test_the_option_counts_only_behind_a_second_image():
    plain, latest = model_of(latest=False), model_of(latest=True)
    changed = 0
    for tokens in documents(20):
        ids, positions = tokens.ids[None], tokens.positions[None]
        differ = (plain(ids, positions) - latest(ids, positions)).abs().amax(-1)[0] > 1e-12
        begins = (tokens.ids == WORDS.begin("image")).nonzero().flatten().tolist()
        last = begins[1] if len(begins) > 1 else len(tokens)
        assert not differ[:last].any()
        changed += int(differ.any())
    assert changed > 5


@torch.no_grad()
def test_packed_documents_and_cached_steps_are_the_documents_alone():
    model, known = model_of(latest=True), documents(8)
    batch = pack(lay_flat(known), length=200, pad=WORDS.pad)
    packed = model(batch.ids, batch.positions, document=batch.document)
    assert batch.document.max() > 0
    singles = {tuple(t.ids[:-1].tolist()): model(t.ids[None, :-1], t.positions[None, :-1])[0] for t in known}
    for row in range(len(batch.ids)):
        for number in range(int(batch.document[row].max()) + 1):
            inside = batch.document[row] == number
            alone = singles[tuple(batch.ids[row, inside].tolist())]
            assert (packed[row, inside] - alone).abs().max() <= 1e-9
    for tokens in known:
        full, cache = model(tokens.ids[None], tokens.positions[None]), model.new_cache(1, len(tokens))
        parts = zip(tokens.ids.split(3), tokens.positions.split(3), strict=True)
        stepped = torch.cat([model(i[None], p[None], cache=cache) for i, p in parts], dim=1)
        assert (full - stepped).abs().max() <= 1e-9


@pytest.mark.parametrize("speculate", [0, 3])
def test_rows_together_are_rows_alone_and_each_id_is_the_likeliest_of_the_whole_row(speculate):
    """What an engine writes at temperature 0 is what one uncached pass over the document would choose."""
    model, rng = model_of(latest=True), random.Random(1)
    greedy = dict.fromkeys(CODEC.modalities, Sampling(temperature=0, max_new_tokens=6))
    prompts = [random_codes(CODEC, rng) + random_codes(CODEC, rng) for _ in range(6)]
    engine = Engine(model, CODEC, batch_size=4, speculate=speculate)
    for prompt in prompts:
        engine.submit(Request(prompt=prompt, target="image", sampling=greedy, shapes={"image": (2, 3)}))
    done = {event.number: event for event in engine.run() if isinstance(event, DocumentDone)}
    for number, prompt in enumerate(prompts):
        drawn = done[number].segments[0]
        tokens = CODEC.join([*prompt, drawn])
        hidden = model(tokens.ids[None], tokens.positions[None])[0]
        start = len(CODEC.join(prompt, open="image")) + 2
        for place in range(6):
            logits = model.head(hidden[start + place - 1], CODEC.groups[2].ids)
            assert drawn.codes[place] == logits.argmax()


def test_the_option_without_the_ids_of_images_is_refused():
    with pytest.raises(ValueError, match="where latest_image is set, got None"):
        TransformerConfig(TransformerSizes(latest_image=True), vocab_size=9)
