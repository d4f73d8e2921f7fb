"""A segment that must be one of some given ones is one of them, whichever is drawn."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sample.caption import main
from tests.tiny_model import tiny_model
from unitok.api.request_builder import build_requests
from unitok.document import Segment
from unitok.generation.allowed_segments import AllowedSegments
from unitok.generation.generate import generate
from unitok.modalities.geometry import Point
from unitok.modalities.location_bins import PointModality

MODEL = tiny_model(more=[PointModality(9)])
PROMPT = (Segment("text", "which?"),)
texts = st.lists(st.text("ab", max_size=3), min_size=1, max_size=5, unique=True)


@settings(max_examples=30)
@given(texts, st.integers(0, 2**31))
def test_the_answer_is_one_of_the_choices(choices, seed):
    (document,) = MODEL.generate([PROMPT], target="text", choices=choices, seed=seed, temperature=5.0)
    assert document[-1].content in choices


def test_every_choice_may_come_and_one_may_begin_another():
    choices = ["a", "ab", "", "b"]
    documents = MODEL.generate(
        [PROMPT] * 200, target="text", choices=choices, copies=range(200), temperature=3.0
    )
    assert set(Counter(document[-1].content for document in documents)) == set(choices)


def test_choices_may_be_longer_than_other_texts():
    (document,) = MODEL.generate([PROMPT], target="text", choices=["a" * 40], max_new_tokens=3)
    assert document[-1].content == "a" * 40
    with pytest.raises(ValueError, match="the prompt is too long"):
        MODEL.generate([PROMPT], target="text", choices=["a" * 400])


def test_places_and_images_may_be_chosen_among_too():
    points = [Point(0.5, 0.5), Point(0.1, 0.9)]
    (document,) = MODEL.generate([PROMPT], target="point", choices=points)
    codes = [MODEL.codec.encode((Segment("point", point),))[0].codes.tolist() for point in points]
    assert MODEL.codec.encode((document[-1],))[0].codes.tolist() in codes
    images = [Image.new("RGB", (12, 8), colour) for colour in ("red", "blue")]
    known = [MODEL.codec.encode((Segment("image", image),))[0].codes.tolist() for image in images]
    for guesses in (0, 4):
        requests = build_requests(MODEL.codec, MODEL.sampling, [PROMPT], target="image", choices=images)
        ((_, drawn),) = generate(MODEL.model, MODEL.codec, requests, speculate=guesses)
        assert drawn.codes.tolist() in known


def test_what_leads_to_an_option():
    codec = MODEL.codec
    ways = AllowedSegments(codec, codec.encode(tuple(Segment("text", text) for text in ("yes", "no"))))
    ids = {text: codec.encode((Segment("text", text),))[0].codes.tolist() for text in ("yes", "no")}
    assert ways.next_ids([]) == tuple(sorted((ids["yes"][0], ids["no"][0])))
    assert ways.next_ids(ids["no"]) == (codec.vocabulary.end("text"),)
    assert ways.next_ids([ids["yes"][1]]) == () and ways.max_length == 4


def test_choices_without_a_target_or_of_another_modality_are_refused():
    with pytest.raises(ValueError, match="choices need a target"):
        MODEL.generate([PROMPT], target=None, choices=["a"])
    texts = AllowedSegments(MODEL.codec, MODEL.codec.encode((Segment("text", "a"),)))
    with pytest.raises(ValueError, match="the target's modality 'image', got text"):
        MODEL.request(PROMPT, target="image").__class__(prompt=[], target="image", sampling={}, allowed=texts)


def test_answers_by_call_and_by_command(tmp_path, capsys):
    image = Image.new("RGB", (12, 8), "red")
    assert set(MODEL.answer([image] * 2, ["a?", "b?"], choices=["yes", "no"])) <= {"yes", "no"}
    assert isinstance(MODEL.answer(image, "a?", max_new_tokens=2)[0], str)
    with pytest.raises(ValueError, match="questions must be one value or 2, one per image, got 3"):
        MODEL.answer([image] * 2, ["a?"] * 3)
    MODEL.save_pretrained(tmp_path / "m")
    image.save(tmp_path / "p.png")
    given = f"--model {tmp_path}/m {tmp_path}/p.png --choices yes no".split()
    main([*given, "--question", "a?", "--json"])
    assert '"answer": "yes"' in (said := capsys.readouterr().out) or '"answer": "no"' in said
    with pytest.raises(SystemExit):
        main(given)
    assert "--choices needs a --question" in capsys.readouterr().err
