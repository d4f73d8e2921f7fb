"""Rows come and go at any time; each is what it would be alone, whatever its kind and whatever is guessed."""

import random

import pytest
import torch

from tests.cases import cases
from tests.generation.test_generate import untrained
from tests.tiny_codecs import GridModality, random_codes, tiny_codec
from unitok.document import Codes, same
from unitok.generation.engine import Engine
from unitok.generation.requests import DocumentDone, Request, SegmentDone, SegmentProgress
from unitok.generation.sampling import Sampling
from unitok.tokens.codec import Codec

CODEC = tiny_codec()
MODEL = untrained(CODEC, torch.float64, max_length=300)
HOT = dict.fromkeys(CODEC.modalities, Sampling(max_new_tokens=9))


def some_request(rng: random.Random) -> Request:
    """Of any kind: target, size, settings, guidance of two or three branches, known codes, a negative."""
    settings = Sampling(
        temperature=rng.choice([0.0, 0.7, 1.0, 1.5]),
        top_k=rng.choice([None, None, 3]),
        top_p=rng.choice([None, None, 0.8]),
        guidance_scale=rng.choice([1.0, 1.0, 2.5]),
        image_guidance_scale=rng.choice([None, None, 1.0, 1.7]),
        guidance_rescale=rng.choice([0.0, 0.6]),
        max_new_tokens=rng.randint(1, 9),
    )
    target = rng.choice(["image", "image", "text", None])
    shape = (rng.randint(1, 4), rng.randint(1, 4))
    fixed = None
    if target == "image" and rng.random() < 0.3:
        codes = torch.tensor([rng.randrange(-3, 7) for _ in range(shape[0] * shape[1])]).clamp(min=-1)
        fixed = Codes("image", codes, shape)
    return Request(
        prompt=random_codes(CODEC, rng),
        target=target,
        sampling={"text": settings, "image": settings},
        shapes={"image": shape} if rng.random() < 0.7 else None,
        seed=rng.randrange(3),
        copy=rng.randrange(2),
        fixed=fixed,
        negative=random_codes(CODEC, rng) if rng.random() < 0.3 else (),
        max_segments=rng.randint(1, 3),
    )


def finished(events) -> dict[int, DocumentDone]:
    return {event.number: event for event in events if isinstance(event, DocumentDone)}


def alone(request: Request) -> DocumentDone:
    engine = Engine(MODEL, CODEC, batch_size=1)
    engine.submit(request)
    return finished(engine.run())[0]


def assert_alike(one: DocumentDone, other: DocumentDone) -> None:
    assert one.reason == other.reason and len(one.segments) == len(other.segments)
    assert all(map(same, one.segments, other.segments))


@cases(8, 500)
def test_a_row_of_any_mixed_batch_is_the_row_alone(count):
    """Some requests are there at once, others come while these are written, or are dropped."""
    for seed in range(count):
        rng = random.Random(seed)
        requests = [some_request(rng) for _ in range(rng.randint(2, 7))]
        engine = Engine(MODEL, CODEC, batch_size=rng.randint(1, 5), speculate=rng.choice([0, 0, 2, 5]))
        late = requests[rng.randrange(1, len(requests)) :]
        for request in requests[: -len(late)]:
            engine.submit(request)
        events, dropped = [], set()
        while late or not engine.idle:
            events += engine.step()
            if late and (engine.idle or rng.random() < 0.3):
                number = engine.submit(late.pop(0))
                if rng.random() < 0.1:
                    dropped.add(number)
            elif dropped and rng.random() < 0.2:
                engine.cancel(dropped.pop())
        done = finished(events)
        for number, ended in done.items():
            assert_alike(ended, alone(requests[number]))


def test_a_dropped_row_tells_what_it_wrote_and_leaves_the_others_be():
    requests = [
        Request(prompt=[], sampling=HOT, target="image", copy=i, shapes={"image": (4, 4)}) for i in range(4)
    ]
    engine = Engine(MODEL, CODEC, batch_size=3)
    numbers = [engine.submit(request) for request in requests]
    events = [event for _ in range(4) for event in engine.step()]
    assert engine.cancel(numbers[0]).reason == "cancelled" and engine.cancel(numbers[3]).segments == ()
    assert engine.cancel(numbers[0]) is None and engine.cancel(99) is None
    events += engine.run()
    assert finished(events).keys() == {1, 2}
    for number in (1, 2):
        assert_alike(finished(events)[number], alone(requests[number]))


def test_events_tell_every_id_once_and_in_order():
    engine = Engine(MODEL, CODEC, speculate=3)
    for copy in range(5):
        engine.submit(Request(prompt=[], sampling=HOT, copy=copy, max_segments=3))
    events = list(engine.run())
    for number in range(5):
        mine = [event for event in events if event.number == number]
        assert isinstance(mine[-1], DocumentDone)
        segments = [event.segment for event in mine if isinstance(event, SegmentDone)]
        assert all(map(same, segments, mine[-1].segments)) and len(segments) == len(mine[-1].segments)
        told = 0
        for event in mine:
            if isinstance(event, SegmentProgress):
                assert event.count == told + event.new == len(event.ids) and event.new > 0
                told = event.count
            else:
                told = 0


def test_copies_of_a_prompt_cost_one_prefill():
    read = []

    def watch(module, arguments, keywords):
        read.append(arguments[0].shape)

    hook = MODEL.register_forward_pre_hook(watch, with_kwargs=True)
    prompt = [Codes("text", torch.arange(20), (20,))]
    guided = {"text": HOT["text"], "image": Sampling(guidance_scale=3.0)}
    engine = Engine(MODEL, CODEC)
    try:
        for copy in range(4):
            engine.submit(
                Request(prompt=prompt, target="image", sampling=guided, copy=copy, shapes={"image": (2, 2)})
            )
        done = finished(engine.run())
    finally:
        hook.remove()
    assert read[0] == (2, 26) and read[1:] == [(8, 1)] * 3  # the prompt and the empty one, once each
    for copy in range(4):
        assert_alike(done[copy], alone(Request(prompt=prompt, target="image", sampling=guided, copy=copy,
                                               shapes={"image": (2, 2)})))  # fmt: skip
    assert len({tuple(done[copy].segments[0].codes.tolist()) for copy in range(4)}) > 1


def test_known_codes_are_read_together():
    """A hole of one code at the end costs one forward pass, whatever is before it."""
    codes = torch.arange(16) % 7
    codes[15] = -1
    engine = Engine(MODEL, CODEC)
    engine.submit(
        Request(prompt=[], target="image", sampling=HOT, fixed=Codes("image", codes, (4, 4)), copy=1)
    )
    (ended,) = finished(engine.run()).values()
    assert engine.forwards == 1 and torch.equal(ended.segments[0].codes[:15], codes[:15])


def test_three_branches_are_the_formula_on_the_logits():
    image = Codes("image", torch.tensor([1, 2, 3, 4]), (2, 2))
    prompt = [image, Codes("text", torch.tensor([3, 1, 4]), (3,))]
    scales = Sampling(temperature=0, guidance_scale=3.0, image_guidance_scale=1.6)
    request = Request(
        prompt=prompt,
        target="image",
        sampling={"text": HOT["text"], "image": scales},
        shapes={"image": (2, 3)},
    )
    drawn, legal = alone(request).segments[0], CODEC.groups[2].ids
    for n in range(6):
        logits = []
        for known in (prompt, [image], []):
            tokens = CODEC.join([*known, drawn], done=False)
            place = len(CODEC.join(known, open="image")) + 2 + n - 1
            hidden = MODEL(tokens.ids[None], tokens.positions[None])[0, place]
            logits.append(MODEL.head(hidden, legal))
        everything, images, free = logits
        expected = free + 1.6 * (images - free) + 3.0 * (everything - images)
        assert drawn.codes[n] == expected.argmax()


def test_texts_are_never_guided():
    prompt = [Codes("image", torch.tensor([1, 2]), (1, 2))]
    plain, guided = (
        Request(prompt=prompt, target="text", sampling={"text": Sampling(guidance_scale=s, max_new_tokens=6)})
        for s in (1.0, 9.0)
    )
    assert_alike(alone(plain), alone(guided))


def test_few_shot_prompts_and_whole_documents_end_or_meet_their_budget():
    shots = [
        Codes(*pair)
        for i in range(3)
        for pair in (("image", torch.tensor([i, i]), (1, 2)), ("text", torch.tensor([i, 7]), (2,)))
    ]
    reasons = set()
    for copy in range(12):
        ended = alone(Request(prompt=[*shots, shots[0]], sampling=HOT, copy=copy, max_segments=3))
        reasons.add(ended.reason)
        assert len(ended.segments) == 3 or ended.reason == "ended"
    assert reasons == {"ended", "budget"}


@cases(6, 100)
def test_a_document_stops_where_the_model_has_no_room(count):
    codec = tiny_codec(shape=(4, 4))
    model = untrained(codec, torch.float64, max_length=60)
    for copy in range(count):
        engine = Engine(model, codec)
        settings = dict.fromkeys(codec.modalities, Sampling(max_new_tokens=99))
        engine.submit(Request(prompt=[], sampling=settings, copy=copy, max_segments=99))
        (ended,) = finished(engine.run()).values()
        assert len(codec.join(ended.segments, done=ended.reason == "ended").ids) <= 60


# ---- guesses


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("guesses", [1, 4, 40])
def test_guessing_ahead_changes_no_id_and_saves_forward_passes(temperature, guidance, guesses):
    model = untrained(CODEC, torch.float64)
    torch.nn.init.normal_(model.unembedding.weight, std=0.02)  # even choices: then the noise decides, and
    settings = Sampling(temperature=temperature, guidance_scale=guidance)  # it is known before the codes are
    sampling, results, passes = {"text": settings, "image": settings}, [], []
    for speculate in (0, guesses):
        engine = Engine(model, CODEC, speculate=speculate)
        for copy in range(6):
            engine.submit(
                Request(prompt=[], target="image", sampling=sampling, copy=copy, shapes={"image": (4, 4)})
            )
        results.append(finished(engine.run()))
        passes.append(engine.forwards)
    for number, plain in results[0].items():
        assert_alike(plain, results[1][number])
    assert passes[0] == 16 and passes[1] < 16


class Residual(GridModality):
    """Two codes a cell."""

    @property
    def cell_ranges(self):
        return range(3), range(3, 7)

    def grid(self, shape):
        return super().grid(shape).repeat_interleave(2, dim=0)


@pytest.mark.parametrize("positions", ["grid", "sequential"])
def test_guesses_fit_cells_of_several_codes_and_codes_that_are_known(positions):
    codec = Codec([CODEC.modalities["text"], Residual(shape=(3, 4))], positions=positions)
    model, settings = untrained(codec, torch.float64), dict.fromkeys(codec.modalities, Sampling())
    known = torch.tensor([0, 3] * 12)
    known[[4, 5, 6, 9, 12, 13, 14, 15, 21, 22]] = -1
    for fixed in (None, Codes("image", known, (3, 4))):
        results = []
        for speculate in (0, 3):
            engine = Engine(model, codec, speculate=speculate)
            for copy in range(3):
                engine.submit(Request(prompt=[], target="image", sampling=settings, copy=copy, fixed=fixed))
            results.append(finished(engine.run()))
        for number, plain in results[0].items():
            assert_alike(plain, results[1][number])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"batch_size": 0}, "batch_size must be at least 1, got 0"), ({"speculate": -1}, "got -1")],
)
def test_invalid_engine_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Engine(MODEL, CODEC, **options)
