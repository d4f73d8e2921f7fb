"""Arguments of plausible other types are converted, or refused with a one-line error."""

import jaxtyping
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.tiny_model import tiny_model
from unitok.api.arguments import as_float, as_int
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.interop.pipelines.drawing import ImageToImage, Inpainting, TextToImage
from unitok.interop.pipelines.pipeline import pipeline
from unitok.interop.pipelines.reading import AnyToAny, ImageToText, VisualQuestionAnswering

MODEL, RED = tiny_model(), Image.new("RGB", (12, 8), "red")
ONE, TEXT = np.int64(1), Segment("text", "a")
HOLE = Image.new("L", (12, 8), 255)


@pytest.fixture
def unchecked(monkeypatch):
    """Disable jaxtyping, which users do not have, so that our own checks are reached."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def pixels(images):
    return [image.tobytes() for image in images]


@pytest.mark.parametrize("seed", [3, np.int64(3), np.uint8(3), torch.tensor(3), [3], (3,), np.array([3]),
                                  torch.tensor([3]), pd.Series([3])], ids=str)  # fmt: skip
def test_seeds_may_be_integers_of_any_library(seed):
    assert pixels(MODEL.draw("a", seed=seed)) == pixels(MODEL.draw("a", seed=3))


def test_without_a_seed_torchs_generator_gives_one():
    torch.manual_seed(0)
    first, second = MODEL.draw("a", seed=None), MODEL.draw("a", seed=None, temperature=1.0)
    torch.manual_seed(0)
    assert pixels(MODEL.draw("a", seed=None)) == pixels(first) and pixels(first) != pixels(second)
    assert MODEL.inpaint(RED, HOLE, "a", seed=None) and MODEL.vary(RED, "a", keep=0.5, seed=None)


@pytest.mark.parametrize("several", [list, tuple, pd.Series, np.array, iter], ids=lambda kind: kind.__name__)
def test_lists_may_be_any_iterable(several):
    texts, both = ["a", "b"], [RED, Image.new("RGB", (12, 8), "blue")]
    images = tuple if several in (pd.Series, np.array) else several
    assert pixels(MODEL.draw(several(texts))) == pixels(MODEL.draw(texts))
    assert MODEL.caption(images(both), max_new_tokens=3) == MODEL.caption(both, max_new_tokens=3)
    assert MODEL.answer(images(both), several(texts), choices=several(texts)) == MODEL.answer(
        both, texts, choices=texts
    )
    assert MODEL.classify(images(both), several(texts)) == MODEL.classify(both, texts)
    assert MODEL.rank(images(both), "a") == MODEL.rank(both, "a")
    assert MODEL.mutual_information(images(both), several(texts)) == MODEL.mutual_information(both, texts)
    assert len(MODEL.edit(images(both), several(texts), n=ONE)) == 2
    assert len(TextToImage(MODEL)(several(texts), num_images_per_prompt=ONE).images) == 2
    assert len(AnyToAny(MODEL)(several(texts), images(both), max_new_tokens=ONE)) == 2


def test_numbers_may_be_of_any_library():
    half, counts = np.float32(0.5), {"n": ONE, "best_of": np.int8(1), "batch_size": torch.tensor(2)}
    expected = MODEL.draw("a", temperature=0.5, top_p=0.5, top_k=3, guidance_scale=2, size=(8, 12))
    drawn = MODEL.draw(
        "a", temperature=half, top_p=torch.tensor(0.5), top_k=np.int64(3), guidance_scale=np.float64(2),
        size=np.array([8, 12]), speculate=ONE, **counts,
    )  # fmt: skip
    assert pixels(drawn) == pixels(expected)
    assert len(MODEL.vary(RED, "a", keep=half, seed=np.int64(-1), **counts)) == 1
    assert MODEL.decode_image(np.zeros((2, 3), np.int64)).size == (12, 8)
    assert MODEL.classify(RED, ["a", "b"], templates="a {}") == MODEL.classify(
        RED, ["a", "b"], templates=["a {}"]
    )
    assert MODEL.rank(RED, "a")[0][0] == 0 and len(MODEL.mutual_information(RED, "a")) == 1


ARRAYS = {
    "uint8": np.asarray,
    "floats": lambda image: np.asarray(image) / 255,
    "tensor": lambda image: torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1),
    "tensor of floats": lambda image: torch.from_numpy(np.asarray(image) / 255).permute(2, 0, 1),
    "RGBA": lambda image: np.asarray(image.convert("RGBA")),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_images_may_be_arrays(kind):
    noise = Image.effect_noise((12, 8), 90).convert("RGB")
    image, expected = ARRAYS[kind](noise), MODEL.encode_image(noise)
    assert torch.equal(MODEL.encode_image(image), expected)
    assert pixels(MODEL.inpaint(image, np.ones((8, 12), bool), "a")) == pixels(
        MODEL.inpaint(noise, HOLE, "a")
    )
    (document,) = MODEL.generate([(Segment("image", image),)], target="text", max_new_tokens=2)
    assert document[-1].content == MODEL.caption(noise, max_new_tokens=2)[0]
    assert len(MODEL.caption([image, image], max_new_tokens=2)) == 2


def test_images_may_be_paths_and_several_an_array(tmp_path):
    noise = Image.effect_noise((12, 8), 90).convert("RGB")
    noise.save(tmp_path / "a.png")
    for image in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert torch.equal(MODEL.encode_image(image), MODEL.encode_image(noise))
    several = MODEL.caption(np.stack([np.asarray(noise)] * 2), max_new_tokens=2)
    assert several == MODEL.caption(noise, max_new_tokens=2) * 2


def test_a_mask_in_a_file_may_be_transparent(tmp_path):
    mask = Image.new("RGBA", (12, 8), "red")
    mask.paste((0, 0, 0, 0), (0, 0, 4, 4))
    mask.save(tmp_path / "mask.png")
    assert pixels(MODEL.inpaint(RED, tmp_path / "mask.png", "a")) == pixels(MODEL.inpaint(RED, mask, "a"))


def test_seeds_of_edits_may_be_one_per_image():
    both = [RED, Image.new("RGB", (12, 8), "blue")]
    for call in (
        lambda images, texts, **given: MODEL.vary(images, texts, keep=0.2, **given),
        lambda images, texts, **given: MODEL.inpaint(images, [HOLE] * len(images), texts, **given),
        MODEL.edit,
    ):
        together = call(both, ["a", "b"], seed=[3, 4], n=2)
        alone = [*call(both[:1], ["a"], seed=3, n=2), *call(both[1:], ["b"], seed=4, n=2)]
        assert pixels(together) == pixels(alone)


def test_empty_inputs_give_empty_outputs():
    assert MODEL.draw([]) == MODEL.caption([]) == MODEL.classify([], ["a", "b"]) == MODEL.rank([], "a") == []
    assert MODEL.generate([]) == MODEL.score([]) == MODEL.edit([], []) == ImageToText(MODEL)([]) == []


def test_device_and_dtype_may_be_torch_objects(tmp_path):
    MODEL.save_pretrained(tmp_path / "m")
    opened = UniTok.from_pretrained(tmp_path / "m", device=torch.device("cpu"), dtype=torch.float64)
    assert opened.model.embedding.weight.dtype == torch.float64
    assert pipeline("text-to-image", tmp_path / "m", dtype=torch.float32).model


@pytest.mark.parametrize(
    "options", [{"device": None}, {"dtype": None}, {"dtype": torch.int64}, {"dtype": 32}]
)
def test_invalid_devices_and_dtypes_are_reported(unchecked, tmp_path, options):
    MODEL.save_pretrained(tmp_path / "m")
    with pytest.raises(ValueError, match=r"is not available|dtype must be"):
        UniTok.from_pretrained(tmp_path / "m", **options)


NAN = float("nan")
WRONG = {
    "draw": [
        ((None,), {}, "prompts must be a list of strings, got None"),
        ((5,), {}, "prompts must be a list of strings, got 5"),
        (([5],), {}, "prompts must be a list of strings, got 5 in it"),
        ((b"a",), {}, "prompts must be a list of strings, got b'a'"),
        (("a",), {"n": 0}, "n must be at least 1, got 0"),
        (("a",), {"n": True}, "n must be an integer, got True"),
        (("a",), {"n": 1.0}, "n must be an integer, got 1.0"),
        (("a",), {"n": None}, "n must be an integer, got None"),
        (("a",), {"best_of": "2"}, "best_of must be an integer, got '2'"),
        (("a",), {"batch_size": 0}, "batch_size must be at least 1, got 0"),
        (("a",), {"batch_size": NAN}, "batch_size must be an integer, got nan"),
        (("a",), {"speculate": -1}, "speculate must be at least 0, got -1"),
        (("a",), {"seed": 1.5}, "seed must be an integer, got 1.5"),
        (("a",), {"seed": True}, "seed must be an integer, got True"),
        (("a",), {"seed": "7"}, "seed must be an integer, got '7'"),
        (("a",), {"seed": [None]}, "seed must be an integer, got None"),
        (("a",), {"seed": torch.Generator()}, "seed must be an integer, got a Generator"),
        (("a",), {"size": 24}, "size must be a list of height and width in pixels, got 24"),
        (("a",), {"size": (8,)}, "size must be height and width in pixels, got [8]"),
        (("a",), {"size": (8.0, 12)}, "size must be an integer, got 8.0"),
        (("a",), {"negative": 5}, "negative must be a list of strings, got 5 in it"),
        (("a",), {"temperature": -1}, "temperature must be at least 0, got -1"),
        (("a",), {"temperature": NAN}, "temperature must be at least 0, got nan"),
        (("a",), {"temperature": "hot"}, "temperature must be a number, got 'hot'"),
        (("a",), {"guidance_scale": True}, "guidance_scale must be a number, got True"),
        (("a",), {"guidance_scale": [1.0]}, "guidance_scale must be a number, got a list"),
        (("a",), {"top_k": 1.5}, "top_k must be an integer, got 1.5"),
        (("a",), {"top_p": 0}, "top_p must be in (0, 1], got 0"),
    ],
    "caption": [
        ((None,), {}, "images must be a list of images, got None"),
        (("absent.png",), {}, "absent.png: No such file or directory"),
        ((["absent.png"],), {}, "absent.png: No such file or directory"),
        (("https://a.b/a.png",), {}, "https://a.b/a.png: URLs are not fetched"),
        (([5],), {}, "images must be a PIL image, a path or an array, got 5"),
        ((np.zeros((8, 12, 2)),), {}, "images must have the shape [h, w] or [h, w, 3 or 4], got [8, 12, 2]"),
        ((np.full((8, 12, 3), 255.0),), {}, "images must have floats in 0..1, or uint8, got 255..255"),
        ((np.zeros((8, 12, 3), int),), {}, "images must be uint8, or floats in 0..1, got int64"),
        ((RED,), {"max_new_tokens": 0}, "max_new_tokens must be at least 1, got 0"),
        ((RED,), {"max_new_tokens": 5.5}, "max_new_tokens must be an integer, got 5.5"),
    ],
    "answer": [
        ((RED, "what?"), {"choices": "yes"}, "choices must be a list of contents, got 'yes'"),
        ((RED, "what?"), {"choices": [1, 2]}, "a text segment must hold a str, got int"),
        ((RED, None), {}, "questions must be a list of strings, got None"),
        ((RED, ["a", "b"]), {}, "questions must be one value or 1, one per image, got 2"),
    ],
    "classify": [
        ((RED, "cat"), {}, "labels must be a list of strings, got 'cat'"),
        ((RED, None), {}, "labels must be a list of strings, got None"),
        ((RED, []), {}, "labels must be at least two different texts, got []"),
        ((RED, ["a", 1]), {}, "labels must be a list of strings, got 1 in it"),
        ((RED, ["a", "b"]), {"templates": ["a"]}, "templates must be texts with {} for the label, got ['a']"),
        ((RED, ["a", "b"]), {"templates": 5}, "templates must be a list of strings, got 5"),
        ((RED, ["a", "b"]), {"batch_size": None}, "batch_size must be an integer, got None"),
    ],
    "rank": [((RED, ["a"]), {}, "text must be one text, got a list"), ((None, "a"), {}, "got None")],
    "mutual_information": [((RED, None), {}, "texts must be a list of strings, got None")],
    "inpaint": [
        ((RED, None, "a"), {}, "masks must be a list of images, got None"),
        ((RED, HOLE, ["a", "b"]), {}, "the same length, got 1 images, 1 masks and 2 prompts"),
        ((RED, HOLE, "a"), {"n": False}, "n must be an integer, got False"),
        ((RED, HOLE, "a"), {"best_of": 0}, "best_of must be at least 1, got 0"),
        ((RED, HOLE, "a"), {"seed": [1, 2]}, "seed must be one value or 1, one per image, got 2"),
        ((RED, HOLE, "a"), {"temprature": 1}, "unknown setting temprature"),
        ((RED, HOLE, "a"), {"batch_size": -1}, "batch_size must be at least 1, got -1"),
    ],
    "vary": [
        ((RED, "a"), {"keep": NAN}, "keep must be in [0, 1), got nan"),
        ((RED, "a"), {"keep": "half"}, "keep must be a number, got 'half'"),
        (([RED, RED], "a"), {"keep": 0.5}, "the same length, got 2 images and 1 prompts"),
    ],
    "edit": [
        ((RED, 5), {}, "instructions must be a list of strings, got 5"),
        ((RED, "a"), {"n": 0}, "n must be at least 1, got 0"),
    ],
    "generate": [
        ((5,), {}, "documents must be a list of documents, texts or messages, got 5"),
        (((TEXT,),), {}, "documents must be a list of documents, tuples of Segment, got a Segment in it"),
        (("a",), {"do_sample": 1}, "do_sample must be True or False, got 1"),
        ((["a", "b"],), {"streamer": print}, "streamer takes the text of one prompt, got 2"),
        (("a",), {"streamer": print}, "streamer must have on_finalized_text, as TextStreamer, got"),
        (([(TEXT,)],), {"target": "video"}, "target must be one of text, image, got 'video'"),
        (([(TEXT,)],), {"choices": ["a"]}, "choices need a target"),
        (([(TEXT,)],), {"max_segments": 0}, "max_segments must be at least 1, got 0"),
        (([(Segment("image", 5),)],), {}, "an image must be a PIL image, a path or an array, got 5"),
    ],
    "score": [
        ((TEXT,), {}, "documents must be a list of documents, got a Segment"),
        (([(TEXT,)],), {"of": 3}, "a document of 1 segments has no segment 3"),
        (([(TEXT,)],), {"of": "text"}, "of must be an integer, got 'text'"),
        (([()],), {}, "a document of 0 segments has no segment -1"),
    ],
    "request": [((5,), {}, "documents must be a list of documents, tuples of Segment, got 5")],
    "engine": [((), {"batch_size": 2.0}, "batch_size must be an integer, got 2.0")],
    "encode_image": [(([RED],), {}, "an image must be a PIL image, a path or an array, got a list")],
    "decode_image": [
        ((torch.zeros(6, dtype=torch.long),), {}, "codes must be a grid of integers, got torch.int64"),
        ((torch.zeros(2, 3),), {}, "codes must be a grid of integers, got torch.float32 (2, 3)"),
        ((torch.full((2, 3), -1),), {}, "codes must be in 0..15, got -1..-1"),
    ],
}  # fmt: skip
CALLS = [(name, *call) for name, calls in WRONG.items() for call in calls]


@pytest.mark.parametrize(("name", "arguments", "options", "message"), CALLS)
def test_errors_take_one_line(unchecked, name, arguments, options, message):
    with pytest.raises(ValueError) as error:
        getattr(MODEL, name)(*arguments, **options)
    assert message in str(error.value) and "\n" not in str(error.value)


PIPED = [
    (TextToImage, ("a",), {"num_images_per_prompt": 0}, "num_images_per_prompt must be at least 1, got 0"),
    (TextToImage, (None,), {}, "prompt must be a list of strings, got None"),
    (TextToImage, ("a",), {"generator": 42}, "generator must be a torch.Generator or a list of them, got 42"),
    (TextToImage, ("a",), {"generator": [42]}, "generator must be a torch.Generator or a list of them, got"),
    (TextToImage, ("a",), {"height": 8.0, "width": 12}, "size must be an integer, got 8.0"),
    (TextToImage, ("a",), {"negative_prompt": [5]}, "negative_prompt must be a list of strings, got 5 in it"),
    (ImageToText, (None,), {}, "inputs must be a list of images, got None"),
    (ImageToText, ([5],), {}, "inputs must be a PIL image, a path or an array, got 5"),
    (AnyToAny, (), {}, "text or images must be given, got neither"),
    (AnyToAny, (5,), {}, "text must be a list of strings or messages, got 5"),
    (AnyToAny, ([{"content": "a"}, "b"],), {}, "a message must be a dict of role and content, got 'b'"),
    (AnyToAny, ([{"content": 5}],), {}, "a message's content must be a list of parts, got 5"),
    (AnyToAny, ([{"content": ["a"]}],), {}, "a message's part must be a dict with a type, got 'a'"),
    (AnyToAny, ([{"content": [{"type": "text"}]}],), {}, "a text segment must hold a str, got NoneType"),
    (AnyToAny, ([{"content": [{"type": "image"}]}],), {}, "as there are images, got more"),
    (AnyToAny, ("a",), {"num_beams": 3}, "num_beams has no counterpart here: there is no beam search"),
    (AnyToAny, ("a",), {"generate_kwargs": 5}, "generate_kwargs must be a dict, got 5"),
    (ImageToImage, ("a", RED), {"strength": 0}, "strength must be in (0, 1], got 0"),
    (ImageToImage, (["a", "b"], RED), {}, "the same length, got 1 images and 2 instructions"),
    (Inpainting, ("a", RED, [HOLE, HOLE]), {}, "the same length, got 1 images, 2 masks and 1 prompts"),
    (VisualQuestionAnswering, (RED,), {}, "question must be given"),
    (AnyToAny, ("a",), {"generation_mode": "video"}, "got 'video'"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "arguments", "options", "message"), PIPED)
def test_errors_of_pipelines_take_one_line(unchecked, task, arguments, options, message):
    with pytest.raises(ValueError) as error:
        task(MODEL)(*arguments, **options)
    assert message in str(error.value) and "\n" not in str(error.value)


@given(st.integers(-(2**40), 2**40))
def test_integers_keep_their_value(value):
    assert as_int(np.int64(value), "n") == as_int(torch.tensor(value), "n") == as_int(value, "n") == value


@given(st.floats(allow_nan=False, width=32))
def test_floats_keep_their_value(value):
    assert (
        as_float(np.float32(value), "x")
        == as_float(torch.tensor(value), "x")
        == as_float(value, "x")
        == value
    )
