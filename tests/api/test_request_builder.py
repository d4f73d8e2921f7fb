"""Documents become engine requests with individual and shared settings."""

import pytest

from tests.tiny_model import tiny_model
from unitok.api.request_builder import build_requests, one_each, override_sampling
from unitok.document import Segment, same

MODEL = tiny_model(shape=(2, 3))
TEXTS = [(Segment("text", letter),) for letter in "abc"]


def test_each_request_has_its_own_prompt_seed_copy_and_negative():
    requests = build_requests(
        MODEL.codec,
        MODEL.sampling,
        TEXTS,
        target="image",
        seed=[4, 5, 6],
        copies=[0, 1, 0],
        negatives=TEXTS[::-1],
    )
    assert [(request.seed, request.copy) for request in requests] == [(4, 0), (5, 1), (6, 0)]
    for request, prompt, unwanted in zip(requests, TEXTS, TEXTS[::-1], strict=True):
        assert same(request.prompt[0], MODEL.codec.encode(prompt)[0])
        assert same(request.negative[0], MODEL.codec.encode(unwanted)[0])


def test_settings_override_the_defaults():
    merged = override_sampling(MODEL.sampling, {"temperature": 0.25, "top_k": None})
    assert set(merged) == set(MODEL.codec.modalities)
    for name, sampling in merged.items():
        assert sampling.temperature == 0.25 and sampling.top_k == MODEL.sampling[name].top_k
    with pytest.raises(ValueError, match="unknown setting heat; known: temperature"):
        override_sampling(MODEL.sampling, {"heat": 1.0})


@pytest.mark.parametrize("what", ["seed", "copies", "negatives"])
def test_a_wrong_number_of_values_is_refused(what):
    given = {"seed": [1, 2], "copies": [0, 1], "negatives": TEXTS[:2]}[what]
    with pytest.raises(ValueError, match=rf"{what} must be one value or 3, one per prompt, got 2"):
        build_requests(MODEL.codec, MODEL.sampling, TEXTS, target="image", **{what: given})


def test_one_value_is_repeated():
    assert one_each("a", 2, "prompt") == ["a", "a"] and one_each(range(2), 2, "seed") == [0, 1]
