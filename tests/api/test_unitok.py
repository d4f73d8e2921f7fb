"""Model folders load as they were saved, broken ones fail with one line; the public methods of UniTok."""

import json
import shutil

import pytest
import torch
from PIL import Image

from tests.tiny_model import tiny_model
from unitok.api.previews import update_of
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.generation.sampling import Sampling


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model"
    tiny_model(example_prompts=["a cat"]).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return UniTok.from_pretrained(folder, verify=True)


def make_image(color="red", size=(30, 20)):
    return Image.new("RGB", size, color)


def test_a_folder_loads_as_it_was_saved(folder, model):
    before, after = tiny_model().model.state_dict(), model.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
    names = {"config.json", "model.safetensors", "tokenizer.json", "README.md", "sha256.json"}
    assert {path.name for path in folder.iterdir()} == names | {"image_tokenizer"}
    assert "pipeline_tag: any-to-any" in (folder / "README.md").read_text()
    assert tiny_model().draw("a", seed=4)[0].tobytes() == model.draw("a", seed=4)[0].tobytes()


def test_a_folder_stores_whether_its_model_fills_holes(tmp_path, model):
    tiny_model(fills=True).save_pretrained(tmp_path / "m")
    assert UniTok.from_pretrained(tmp_path / "m").fills and not model.fills
    config = json.loads((tmp_path / "m/config.json").read_text())
    del config["fills"]  # as in folders of earlier versions
    (tmp_path / "m/config.json").write_text(json.dumps(config))
    assert UniTok.from_pretrained(tmp_path / "m").fills is False


def test_saving_over_a_model_replaces_it_and_leaves_nothing_beside(tmp_path):
    for _ in range(2):
        tiny_model().save_pretrained(tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_draw_returns_one_flat_list_prompt_by_prompt(model):
    images = model.draw(["one", "two"], n=3, seed=1)
    assert len(images) == 6 and all(image.size == (12, 8) for image in images)
    alone = model.draw("two", n=3, seed=1, batch_size=1)
    assert [image.tobytes() for image in images[3:]] == [image.tobytes() for image in alone]
    assert len({image.tobytes() for image in images}) > 3


def test_seeds_may_be_one_per_prompt(model):
    images = model.draw(["one", "one"], seed=[1, 2])
    assert images[0].tobytes() == model.draw("one", seed=1)[0].tobytes() != images[1].tobytes()
    with pytest.raises(ValueError, match="seed must be one value or 2, one per prompt, got 3"):
        model.draw(["one", "two"], seed=[1, 2, 3])


def test_captions_are_greedy_and_take_images_of_any_size(model):
    texts = model.caption([make_image(), make_image(size=(7, 99))], max_new_tokens=5)
    assert len(texts) == 2 and texts[0] == model.caption(make_image(), max_new_tokens=5)[0]


def test_generate_appends_to_documents(model):
    prompts = [(Segment("text", "hi"), Segment("image", make_image())), (Segment("text", "x"),)]
    documents = model.generate(prompts, target=None, max_new_tokens=4, temperature=1.0, max_segments=3)
    for before, after in zip(prompts, documents, strict=True):
        assert after[: len(before)] == before
        assert all(s.modality in ("text", "image") for s in after)


def test_the_stream_ends_with_the_result_of_generate(model):
    document = (Segment("text", "draw"),)
    updates = list(model.stream(document, target="image", seed=3))
    assert [u.done for u in updates] == [False] * (len(updates) - 1) + [True] and len(updates) == 3
    assert updates[-1].content.tobytes() == model.draw("draw", seed=3)[0].tobytes()
    updates = list(model.stream(document, target="text", max_new_tokens=6))
    assert updates[-1].content.startswith(updates[0].content)


def test_different_requests_share_a_batch(model):
    engine = model.engine(batch_size=2, speculate=2)
    one = engine.submit(model.request((Segment("text", "one"),), target="image", seed=1, guidance_scale=3.0))
    two = engine.submit(model.request((Segment("image", make_image()),), target="text", max_new_tokens=5))
    last = {}
    for event in engine.run():
        update = update_of(model.codec, event)
        if update is not None:
            last[event.number] = update
    assert all(update.done for update in last.values())
    assert last[one].content.tobytes() == model.draw("one", seed=1, guidance_scale=3.0)[0].tobytes()
    assert last[two].content == model.caption(make_image(), max_new_tokens=5)[0]


def test_images_are_encoded_and_decoded(model):
    codes = model.encode_image(make_image())
    assert codes.shape == (2, 3) and model.decode_image(codes).size == (12, 8)
    with pytest.raises(ValueError, match=r"must be in 0\.\.15"):
        model.decode_image(codes + 16)


def test_a_model_of_any_size_draws_the_requested_size():
    model = tiny_model(shape=None)
    assert model.draw("a", size=(16, 8))[0].size == (8, 16)
    assert len({image.size for image in model.draw("a", n=20)}) > 2
    for size in ((40, 8), (10, 8), (0, 8), (8, -4)):
        message = rf"height and width of 4 to 16 pixels, multiples of 4, got {size[0]} × {size[1]} pixels"
        with pytest.raises(ValueError, match=message):
            model.draw("a", size=size)
    with pytest.raises(ValueError, match=r"must be 8 × 12 pixels .*, the only size.*, got 12 × 8 pixels"):
        tiny_model().draw("a", size=(12, 8))


def test_sampling_defaults_are_saved(tmp_path):
    tiny_model(sampling={"image": Sampling(temperature=0.3, top_k=5)}).save_pretrained(tmp_path / "m")
    assert UniTok.from_pretrained(tmp_path / "m").sampling["image"] == Sampling(temperature=0.3, top_k=5)


def test_an_unknown_setting_is_named(model):
    with pytest.raises(ValueError, match="temprature"):
        model.generate([()], target="text", temprature=1)


def test_a_prompt_that_is_too_long_is_refused_with_its_length(model):
    with pytest.raises(ValueError, match=r"too long: it has 1\d\d\d ids.*max_length is 200"):
        model.draw("word " * 200)


BROKEN = {
    "absent": (lambda m: shutil.rmtree(m), FileNotFoundError, "not a model folder"),
    "no weights": (lambda m: (m / "model.safetensors").unlink(), FileNotFoundError, "model.safetensors"),
    "torn weights": (lambda m: _cut(m / "model.safetensors"), ValueError, "model.safetensors: corrupt"),
    "no config": (lambda m: (m / "config.json").write_text("{"), ValueError, "config.json: not readable"),
    "foreign": (lambda m: (m / "config.json").write_text('{"model_type": "gpt2"}'), ValueError, "gpt2"),
    "a key less": (lambda m: _edit(m, sampling=None), ValueError, "config.json: .*sampling"),
    "a key more": (
        lambda m: _edit(m, transformer={"vocab_size": 9, "widht": 3}),
        ValueError,
        "config.json: .*widht",
    ),
    "newer": (lambda m: _edit(m, format=99), ValueError, "format must be 1 in this version, got 99"),
    "no text": (lambda m: (m / "tokenizer.json").write_text("no"), ValueError, "tokenizer.json"),
    "no images": (lambda m: shutil.rmtree(m / "image_tokenizer"), FileNotFoundError, "image_tokenizer"),
    "vocabulary": (
        lambda m: _edit(m, vocabulary=[["text", 256], ["image", 99]]),
        ValueError,
        r"vocabulary \[\('text', 256\), \('image', 99\)\].*\('image', 16\)",
    ),
}


def _cut(path):
    path.write_bytes(path.read_bytes()[:100])


def _edit(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_folder_is_refused_by_name(folder, tmp_path, fault):
    break_it, error, message = BROKEN[fault]
    shutil.copytree(folder, tmp_path / "m")
    break_it(tmp_path / "m")
    with pytest.raises(error, match=message):
        UniTok.from_pretrained(tmp_path / "m")


def test_checksums_detect_changed_files(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "m")
    with (tmp_path / "m/tokenizer.json").open("a") as file:
        file.write(" ")
    with pytest.raises(ValueError, match=r"tokenizer.json: missing or changed"):
        UniTok.from_pretrained(tmp_path / "m", verify=True)


@pytest.mark.parametrize("options", [{"device": "cuda:77"}, {"device": "toaster"}, {"dtype": "float99"}])
def test_unavailable_devices_and_dtypes_are_named(folder, options):
    with pytest.raises(ValueError, match=next(iter(options.values()))):
        UniTok.from_pretrained(folder, **options)


def test_guidance_away_from_the_prompt_itself_is_no_guidance():
    model = tiny_model()
    plain = model.draw(["a dog", "b"], n=2, seed=3, guidance_scale=1.0)
    same = model.draw(["a dog", "b"], n=2, seed=3, guidance_scale=7.0, negative=["a dog", "b"])
    assert [image.tobytes() for image in same] == [image.tobytes() for image in plain]


def test_a_negative_prompt_changes_the_image_in_any_batch():
    model = tiny_model()
    prompts, settings = ["a dog", "b", "cc"], {"seed": 3, "guidance_scale": 4.0}
    free = model.draw(prompts, **settings)
    away = model.draw(prompts, **settings, negative="a much longer text than those of the prompts")
    single = [
        model.draw(p, **settings, negative="a much longer text than those of the prompts")[0] for p in prompts
    ]
    assert [image.tobytes() for image in away] == [image.tobytes() for image in single]
    assert [image.tobytes() for image in away] != [image.tobytes() for image in free]
    with pytest.raises(ValueError, match="negative must be one value or 3, one per prompt, got 2"):
        model.draw(prompts, negative=["a", "b"])


def test_a_drawing_takes_any_sampling_setting_and_names_an_unknown_one():
    model = tiny_model()
    settings = {"seed": 3, "temperature": 0.8, "top_k": 9, "guidance_scale": 9.0, "guidance_rescale": 1.0}
    document = model.generate([(Segment("text", "a"),)], target="image", **settings)[0]
    assert model.draw("a", **settings)[0].tobytes() == document[-1].content.tobytes()
    assert model.draw("a", top_k=None)[0].tobytes() == model.draw("a")[0].tobytes()
    with pytest.raises(ValueError, match=r"unknown setting guidance_scal; known: temperature, "):
        model.draw("a", guidance_scal=3.0)
