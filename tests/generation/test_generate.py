"""Whatever the weights are, what is written is well-formed; and a row does not depend on its neighbours."""

import random

import pytest
import torch

from tests.cases import cases
from tests.tiny_codecs import make_requests, random_codes, tiny_codec
from unitok.document import Codes, same
from unitok.generation.generate import generate
from unitok.generation.sampling import Sampling
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes


def untrained(codec, dtype=torch.float32, *, images=None, **options) -> Transformer:
    """A small random model with lively logits."""
    torch.manual_seed(0)
    sizes = {"width": 32, "layers": 2, "heads": 2, "kv_heads": 1, "head_width": 16, "hidden": 48} | options
    config = TransformerConfig(TransformerSizes(**sizes), codec.vocabulary.size, images)
    model = Transformer(config, codec.build_bridge).to(dtype).eval()
    torch.nn.init.normal_(model.unembedding.weight, std=0.5)
    return model


CODEC = tiny_codec()
MODEL = untrained(CODEC)
HOT = Sampling(max_new_tokens=12)


def some_prompts(count, codec=CODEC):
    rng = random.Random(0)
    return [random_codes(codec, rng) for _ in range(count)]


@cases()
def test_documents_of_an_untrained_model_parse(count):
    prompts, written, third = some_prompts(count), [], count // 3
    parts = prompts[:third], prompts[third : 2 * third], prompts[2 * third :]
    for part, target in zip(parts, ("image", "text", None), strict=True):
        shapes = {"image": (3, 2)} if target == "image" else None
        options = {"target": target, "sampling": HOT, "shapes": shapes, "max_segments": 3}
        written += generate(MODEL, CODEC, make_requests(CODEC, part, **options))
    for prompt, document in zip(prompts, written, strict=True):
        back = CODEC.split(CODEC.join(document).ids)
        assert all(map(same, document, back)) and all(map(same, prompt, document))
        assert all(c.codes.numel() == c.shape[0] * c.shape[1] for c in document if c.modality == "image")
    assert all(d[-1].modality == "image" and d[-1].shape == (3, 2) for d in written[:third])
    assert all(d[-1].modality == "text" and d[-1].codes.numel() <= 12 for d in written[third : 2 * third])
    assert len({len(d) - len(p) for p, d in zip(parts[2], written[2 * third :], strict=True)}) > 2


def test_sizes_that_are_not_forced_are_chosen_by_the_model():
    written = generate(MODEL, CODEC, make_requests(CODEC, [[]] * 40, target="image", copies=range(40)))
    assert len({d[-1].shape for d in written}) > 4


@pytest.mark.parametrize("guidance", [1.0, 2.5])
@pytest.mark.parametrize("target", ["image", "text", None])
def test_a_row_in_a_batch_is_the_row_alone(target, guidance):
    model = untrained(CODEC, torch.float64)
    prompts, sampling = some_prompts(8), Sampling(max_new_tokens=9, guidance_scale=guidance, temperature=0.9)
    options = {"target": target, "sampling": sampling, "max_segments": 3}
    together = generate(model, CODEC, make_requests(CODEC, prompts, seed=7, **options))
    for prompt, document in zip(prompts, together, strict=True):
        (alone,) = generate(model, CODEC, make_requests(CODEC, [prompt], seed=7, **options))
        assert len(alone) == len(document) and all(map(same, alone, document))


def test_copies_differ_and_seeds_repeat():
    options = {"target": "image", "shapes": {"image": (4, 4)}}
    first = generate(MODEL, CODEC, make_requests(CODEC, [[], [], []], copies=[0, 1, 2], seed=3, **options))
    again = generate(MODEL, CODEC, make_requests(CODEC, [[]], copies=[2], seed=3, **options))
    other = generate(MODEL, CODEC, make_requests(CODEC, [[]], seed=4, **options))
    assert not torch.equal(first[0][0].codes, first[1][0].codes)
    assert torch.equal(first[2][0].codes, again[0][0].codes)
    assert not torch.equal(first[0][0].codes, other[0][0].codes)


def test_guidance_is_the_formula_on_the_logits_of_both_branches():
    model, prompt = untrained(CODEC, torch.float64), [Codes("text", torch.tensor([3, 1, 4]), (3,))]
    sampling, shapes = Sampling(temperature=0, guidance_scale=3.0), {"image": (2, 2)}
    options = {"target": "image", "sampling": sampling, "shapes": shapes}
    (document,) = generate(model, CODEC, make_requests(CODEC, [prompt], **options))
    legal = CODEC.groups[2].ids
    for n in range(4):
        part = document[-1].codes[:n]
        logits = []
        for known in (prompt, []):
            tokens = CODEC.join([*known, document[-1]], done=False)
            place = len(CODEC.join(known, open="image")) + 2 + n - 1
            hidden = model(tokens.ids[None], tokens.positions[None])[0, place]
            logits.append(model.head(hidden, legal))
        expected = (logits[1] + 3 * (logits[0] - logits[1])).argmax()
        assert document[-1].codes[len(part)] == expected


def test_a_prompt_without_room_is_refused_with_the_numbers():
    model = untrained(CODEC, max_length=20)
    prompt = [Codes("text", torch.zeros(30, dtype=torch.long), (30,))]
    with pytest.raises(ValueError, match=r"too long: it has 34 ids.*max_length is 20"):
        generate(model, CODEC, make_requests(CODEC, [prompt], target="image"))
    with pytest.raises(ValueError, match=r"too long: it has 33 ids.*max_length is 20"):
        generate(model, CODEC, make_requests(CODEC, [prompt]))


def test_text_stops_at_the_models_length():
    model = untrained(CODEC, max_length=20)
    long = make_requests(CODEC, [[]], target="text", sampling=Sampling(max_new_tokens=500))
    (document,) = generate(model, CODEC, long)
    assert document[0].codes.numel() <= 17


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_k": 0}, {"top_p": 1.5}, {"max_new_tokens": 0}])
def test_settings_out_of_range_are_refused_with_their_value(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        Sampling(**wrong)
