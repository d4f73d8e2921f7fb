"""The pipelines' results equal those of the model's own methods."""

import inspect

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_model import tiny_model
from unitok.interop.pipelines.pipeline import pipeline


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def make_image(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 12, 3), np.uint8))


def same(a: list[Image.Image], b: list[Image.Image]) -> bool:
    return [p.tobytes() for p in a] == [p.tobytes() for p in b]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_images_come_prompt_by_prompt_and_are_reproducible(model):
    draw = pipeline("text-to-image", model)
    first = draw(["a", "b"], num_images_per_prompt=2, generator=seeded(3), guidance_scale=2.0).images
    assert len(first) == 4 and not same(first[:1], first[1:2])
    assert same(
        first, draw(["a", "b"], num_images_per_prompt=2, generator=seeded(3), guidance_scale=2.0).images
    )
    assert not same(first, draw(["a", "b"], num_images_per_prompt=2, generator=seeded(4)).images)


def test_a_generator_advances_and_torchs_own_is_the_default(model):
    draw, generator = pipeline("text-to-image", model), seeded(0)
    assert not same(draw("a", generator=generator).images, draw("a", generator=generator).images)
    torch.manual_seed(5)
    first = draw("a").images
    torch.manual_seed(5)
    assert same(first, draw("a").images)


def test_one_generator_per_image(model):
    draw = pipeline("text-to-image", model)
    both = draw("a", num_images_per_prompt=2, generator=[seeded(1), seeded(2)]).images
    assert same(both, [draw("a", generator=seeded(s)).images[0] for s in (1, 2)])
    with pytest.raises(ValueError, match="generator must be one or a list of 2, one per image, got 1"):
        draw("a", num_images_per_prompt=2, generator=[seeded(1)])


def test_drawings_are_those_of_draw(model):
    drawn = pipeline("text-to-image", model)(
        ["a", "b"], generator=seeded(0), negative_prompt=["c", "d"]
    ).images
    seeds = torch.randint(2**31, (2,), generator=seeded(0)).tolist()
    assert same(drawn, model.draw(["a", "b"], seed=seeds, negative=["c", "d"]))


def test_output_types(model):
    draw = pipeline("text-to-image", model)
    (pil,), array, tensor = (
        draw("a", generator=seeded(0), output_type=t).images for t in ("pil", "np", "pt")
    )
    assert array.shape == (1, 8, 12, 3) and tensor.shape == (1, 3, 8, 12)
    assert np.array_equal((array[0] * 255).round().astype(np.uint8), np.asarray(pil))
    assert torch.equal(tensor[0].permute(1, 2, 0), torch.from_numpy(array[0]))
    with pytest.raises(ValueError, match="unknown output_type 'latent'"):
        draw("a", output_type="latent")


def test_sizes(model):
    draw = pipeline("text-to-image", tiny_model(shape=None))
    assert draw("a", height=8, width=16).images[0].size == (16, 8)
    with pytest.raises(ValueError, match="height and width must be given together, got 8 and None"):
        draw("a", height=8)


def test_captions(model, tmp_path):
    caption_pipeline = pipeline("image-to-text", model)
    make_image().save(tmp_path / "a.png")
    (caption,) = caption_pipeline(make_image(), max_new_tokens=4)
    assert caption == {"generated_text": model.caption(make_image(), max_new_tokens=4)[0]}
    assert caption_pipeline([make_image(), str(tmp_path / "a.png")], max_new_tokens=4) == [
        [caption],
        [caption],
    ]


def test_any_to_image_or_text(model):
    any_to_any = pipeline("any-to-any", model)
    (drawn,) = any_to_any("a star", generation_mode="image", generator=seeded(0))
    assert drawn["input_text"] == "a star" and drawn["generated_image"].size == (12, 8)
    results = any_to_any(
        ["what?", "why?"], [make_image(1), make_image(2)], generation_mode="text", max_new_tokens=3
    )
    assert [sorted(result) for result in results] == [
        ["generated_segments", "generated_text", "input_text"]
    ] * 2
    (alone,) = any_to_any(images=make_image(), generation_mode="text", max_new_tokens=3)
    assert alone["input_text"] == ""


def test_the_model_chooses(model):
    (result,) = pipeline("any-to-any", model)("a", max_new_tokens=3, generator=seeded(1))
    assert all(isinstance(content, str | Image.Image) for content in result["generated_segments"])


def test_a_chat(model):
    parts = [{"type": "image", "image": make_image()}, {"type": "text", "text": "what?"}]
    chat = [{"role": "user", "content": parts}, {"role": "assistant", "content": "a star"}]
    (result,) = pipeline("any-to-any", model)(chat, generation_mode="text", max_new_tokens=3, temperature=0.0)
    (plain,) = model.generate(
        [_document(make_image(), "what?", "a star")], target="text", max_new_tokens=3, temperature=0.0
    )
    assert result["input_text"] is chat and result["generated_text"] == plain[-1].content


def _document(image, *texts):
    from unitok import Segment

    return (Segment("image", image), *(Segment("text", text) for text in texts))


def test_a_conversation_about_an_image(model):
    ask, parts = pipeline("image-text-to-text", model), [{"type": "image"}, {"type": "text", "text": "what?"}]
    chat, options = [{"role": "user", "content": parts}], {"max_new_tokens": 3, "do_sample": False}
    (full,) = ask(images=make_image(), text=chat, **options)
    (alone,) = ask(images=make_image(), text=chat, return_full_text=False, generate_kwargs=options)
    expected = model.answer(make_image(), "what?", max_new_tokens=3)[0]
    assert alone["generated_text"] == expected and alone["input_text"] is chat
    assert full["generated_text"] == [*chat, {"role": "assistant", "content": expected}]
    (plain,) = ask(make_image(), "what?", **options)
    assert plain == {"input_text": "what?", "generated_text": "what?" + expected}
    named = [{"role": "user", "content": [{"type": "image", "image": make_image()}, parts[1]]}]
    assert ask(named, return_full_text=False, **options)[0]["generated_text"] == expected


def test_questions(model):
    ask, image = pipeline("visual-question-answering", model), make_image()
    (expected,) = model.answer(image, "what?", max_new_tokens=3)
    assert ask(image=image, question="what?", max_new_tokens=3) == [{"answer": expected}]
    pair = {"image": image, "question": "what?"}
    assert ask(pair, max_new_tokens=3) == [{"answer": expected}]
    assert ask([pair, pair], max_new_tokens=3) == ask([image] * 2, "what?", max_new_tokens=3)


def test_zero_shot_classification(model):
    classify, labels = pipeline("zero-shot-image-classification", model), ["a", "b", "c"]
    scores = classify(make_image(), candidate_labels=labels, hypothesis_template="a {}")
    (expected,) = model.classify(make_image(), labels, templates="a {}")
    assert {score["label"]: score["score"] for score in scores} == expected
    assert [score["score"] for score in scores] == sorted(expected.values(), reverse=True)
    assert classify([make_image()], "a, b, c")[0] == classify(make_image(), labels)


def test_images_to_images(model):
    redraw, image = pipeline("image-to-image", model), make_image()
    seed = torch.randint(2**31, (1,), generator=seeded(3)).tolist()
    edited = redraw(prompt="a", image=image, generator=seeded(3)).images
    assert same(edited, model.edit(image, "a", seed=seed))
    varied = redraw("a", image, strength=0.25, generator=seeded(3), guidance_scale=2.0)[0]
    assert same(varied, model.vary(image, "a", keep=0.75, seed=seed, guidance_scale=2.0))
    assert len(redraw(["a", "b"], [image, image], num_images_per_prompt=2).images) == 4


def test_inpainting(model):
    image, mask = make_image(), np.zeros((8, 12), bool)
    mask[:4] = True
    inpaint = pipeline("inpainting", model)
    (drawn,) = inpaint(prompt="a", image=image, mask_image=mask, generator=seeded(3), return_dict=False)
    seed = torch.randint(2**31, (1,), generator=seeded(3)).tolist()
    assert same(drawn, model.inpaint(image, mask, "a", seed=seed))
    assert not np.any(np.asarray(drawn[0])[4:] != np.asarray(image)[4:])


@pytest.mark.parametrize("task", ["text-to-image", "image-to-image", "inpainting"])
def test_each_step_is_called_back(model, task):
    calls, pipe = [], pipeline(task, model)
    inputs = {} if task == "text-to-image" else {"image": make_image()}
    inputs |= {"mask_image": np.ones((8, 12), bool)} if task == "inpainting" else {}
    pipe("a", **inputs, callback_on_step_end=lambda *arguments: calls.append(arguments))
    assert [call[0] for call in calls] == [pipe] * len(calls) and len(calls) >= 6
    assert [call[1:] for call in calls] == [(step, step, {}) for step in range(len(calls))]


def test_a_pipeline_is_moved(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    pipe = pipeline(model=tmp_path / "model", torch_dtype=torch.float64, device=-1)
    assert (pipe.dtype, pipe.device.type) == (torch.float64, "cpu")
    assert pipe.to("cpu", torch.float32) is pipe and pipe.dtype == torch.float32


def test_a_folder_is_opened(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    assert pipeline("text-to-image", tmp_path / "model", device="cpu")("a").images[0].size == (12, 8)


BAD = {
    "unknown task 'text-to-video'; known: any-to-any": lambda m: pipeline("text-to-video", m),
    "model must be a model's folder or a UniTok, got None": lambda m: pipeline("any-to-any"),
    "text or images must be given, got neither": lambda m: pipeline("any-to-any", m)(),
    "got 2 texts and 1 images": lambda m: pipeline("any-to-any", m)(["a", "b"], make_image()),
    "URLs are not fetched": lambda m: pipeline("image-to-text", m)("https://example.org/a.png"),
    "type must be text or image, got 'video'": lambda m: pipeline("any-to-any", m)(
        [{"content": [{"type": "video"}]}]
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_errors(model, message):
    with pytest.raises(ValueError, match=message):
        BAD[message](model)


def test_argument_names_are_those_of_transformers(model):
    transformers = pytest.importorskip("transformers")
    theirs = inspect.signature(transformers.AnyToAnyPipeline._sanitize_parameters).parameters
    ours = inspect.signature(type(pipeline("any-to-any", model)).__call__).parameters
    assert {"generate_kwargs", "generation_mode"} <= theirs.keys() & ours.keys()
    called = inspect.signature(transformers.AnyToAnyPipeline.__call__).parameters
    assert list(called)[1:3] == list(ours)[1:3] == ["text", "images"]
