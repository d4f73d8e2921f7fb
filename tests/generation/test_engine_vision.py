"""Equal questions about different images: each is answered by its own, whatever is in the batch."""

import random
from typing import NamedTuple

import pytest
import torch

from tests.cases import FEW, MANY, cases
from tests.generation.test_engine import finished
from tests.generation.test_generate import untrained
from tests.models.test_transformer_seeing import RESAMPLER, wake
from tests.tiny_codecs import SEEING, seeing_codec, shown_image
from unitok.document import Codes, same
from unitok.generation.engine import Engine
from unitok.generation.guidance import guidance_branches
from unitok.generation.likelihood import scores
from unitok.generation.requests import DocumentDone, Request
from unitok.generation.sampling import Sampling
from unitok.models.transformer import Transformer
from unitok.models.transformer_config import BlockVariant
from unitok.tokens.codec import Codec

CROSS = {"bridge": RESAMPLER, "one_place": True}
VARIANTS = {
    "cross": (CROSS, BlockVariant(cross_every=1)),
    "cross to all": (CROSS, BlockVariant(cross_every=1, cross_all=True)),
    "prefix": ({}, BlockVariant(bidirectional="prefix")),
    "images": ({}, BlockVariant(bidirectional="images")),
    "visual": ({}, BlockVariant(visual_rank=2)),
}
"""Further ways to see, each with grid and sequential positions: options of a codec, and what a block has."""
WAYS = {kind: (options, BlockVariant()) for kind, options in SEEING.items()} | {
    f"{name}, {positions}": (options | {"positions": positions}, variant)
    for name, (options, variant) in VARIANTS.items()
    for positions in ("grid", "sequential")
}
KINDS = {kind: seeing_codec(**options) for kind, (options, _) in WAYS.items()}


def model_of(kind: str) -> Transformer:
    model = untrained(KINDS[kind], torch.float64, layers=1, max_length=200, variant=WAYS[kind][1])
    model.bridge.layers.scale_to(2.0)
    return wake(model)


MODELS = {kind: model_of(kind) for kind in KINDS}
IMAGES = {kind: [shown_image(codec, n) for n in range(3)] for kind, codec in KINDS.items()}
QUESTIONS = [Codes("text", torch.tensor(ids), (len(ids),), learn=False) for ids in ([5, 6], [7, 8])]
Seeing = tuple[Transformer, Codec, list[Codes]]


def seeing(kind: str) -> Seeing:
    return MODELS[kind], KINDS[kind], IMAGES[kind]


class Case(NamedTuple):
    """A request of few kinds, so that many have equal ids: the numbers of images and of their questions."""

    shown: tuple[tuple[int, int], ...]
    target: str | None
    guided: bool
    seed: int
    negative: int | None

    def request(self, images: list[Codes]) -> Request:
        guidance = {"guidance_scale": 2.5, "image_guidance_scale": 1.7} if self.guided else {}
        settings = Sampling(temperature=float(self.seed), max_new_tokens=3, **guidance)
        return Request(
            prompt=[part for i, q in self.shown for part in (images[i], QUESTIONS[q])],
            target=self.target,
            sampling={"text": settings, "image": settings},
            seed=self.seed,
            negative=[] if self.negative is None else [images[self.negative]],
            max_segments=2,
        )


def some_case(rng: random.Random) -> Case:
    """One image or two, each with one of two questions."""
    shown = tuple((rng.randrange(3), rng.randrange(2)) for _ in range(rng.choice([1, 1, 1, 2])))
    target = rng.choice(["image", "text", "text", None])
    negative = rng.choice([None, None, None, 0, 1])
    return Case(shown, target, guided=rng.random() < 0.5, seed=rng.randrange(2), negative=negative)


def alone(request: Request, model: Transformer, codec: Codec) -> DocumentDone:
    engine = Engine(model, codec, batch_size=1)
    engine.submit(request)
    return finished(engine.run())[0]


def are_alike(one: DocumentDone, other: DocumentDone) -> bool:
    pairs = zip(one.segments, other.segments, strict=False)
    return (one.reason, len(one.segments)) == (other.reason, len(other.segments)) and all(
        same(*pair) for pair in pairs
    )


@cases(FEW // len(KINDS) + 1, MANY // len(KINDS) + 1)
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_any_mixed_batch_sees_its_own_images(kind, count):
    """Requests come, go and are dropped; guidance has branches with and without the images."""
    single: dict[tuple, DocumentDone] = {}
    asked, done, batches, written = 0, 0, 0, set()
    model, codec, images = seeing(kind)
    while batches < count:
        rng = random.Random(asked)
        some = [some_case(rng) for _ in range(10)]
        asked += len(some)
        engine = Engine(model, codec, batch_size=rng.randint(4, 10), speculate=rng.choice([0, 0, 3]))
        events, late = [], some[rng.randint(4, 8) :]
        for case in some[: len(some) - len(late)]:
            engine.submit(case.request(images))
        while late or not engine.idle:
            events += engine.step()
            batches += 1
            if late and (engine.idle or rng.random() < 0.7):
                number = engine.submit(late.pop(0).request(images))
                if rng.random() < 0.1:
                    engine.cancel(number)
        for number, ended in finished(events).items():
            if (case := some[number]) not in single:
                single[case] = alone(case.request(images), model, codec)
            assert are_alike(ended, single[case])
            written.add(tuple(tuple(segment.codes.tolist()) for segment in ended.segments))
            done += 1
    assert done > 0.8 * asked and len(written) > 5


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_a_batch_are_those_alone_and_each_image_has_its_own(kind):
    model, codec, images = seeing(kind)
    answer = Codes("text", torch.tensor([9, 4, 1]), (3,))
    documents = [[image, question, answer] for image in images for question in QUESTIONS]
    documents += [[images[0], images[1], answer], [QUESTIONS[0], images[2]]]
    together = scores(model, codec, documents)
    for document, score in zip(documents, together, strict=True):
        (single,) = scores(model, codec, [document])
        assert score.count == single.count and abs(score.log_probability - single.log_probability) < 1e-9
    assert len({round(score.log_probability, 6) for score in together}) == len(documents)


def test_branches_of_equal_ids_with_other_images_are_two():
    codec, (first, second, _) = KINDS["grid"], IMAGES["grid"]
    settings = Sampling(guidance_scale=3.0)
    for negative, count in (([first], 1), ([second], 2)):
        branches = guidance_branches(codec, [first], target="image", negative=negative, sampling=settings)
        assert len(branches) == count


def test_prompts_of_equal_images_cost_one_prefill():
    model, codec, images = seeing("grid")
    hot, read = dict.fromkeys(codec.modalities, Sampling(max_new_tokens=2)), []
    hook = model.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0].shape))
    engine = Engine(model, codec)
    try:
        for copy, image in enumerate([images[0], images[0], images[1]]):
            engine.submit(Request(prompt=[image], target="text", sampling=hot, copy=copy))
        list(engine.run())
    finally:
        hook.remove()
    assert read[0][0] == 2 and read[1][0] == 3
