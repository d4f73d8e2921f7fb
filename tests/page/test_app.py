"""The tabs' event handlers, without a browser."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tiny_model import tiny_model
from unitok.api.learned_tasks import LearnedTask, TaskExample
from unitok.modalities.location_bins import BoxModality, PointModality
from unitok.modalities.vision import VisionConfig
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.models.vision.encoder import Latents

pytest.importorskip("gradio", reason="gradio is not installed: make page installs it")

from unitok.page import examples
from unitok.page.app import build
from unitok.page.model_view import shown_view
from unitok.page.overlay import enlarge
from unitok.page.served_images import made_from, serve_image
from unitok.page.tabs.chat import Chat, Conversation
from unitok.page.tabs.describe import Describe
from unitok.page.tabs.draw import Draw, draw_examples
from unitok.page.tabs.edit import PARTS, Edit, _show
from unitok.page.tabs.tokens import Tokens

SIZES = {
    "one size": {"shape": (6, 6)},
    "any size": {"shape": None, "max_side": 16},
    "seeing": {"shape": (6, 6), "vision": VisionConfig(Latents(size=(48, 48)), tiles=2)},
}


@pytest.fixture(scope="module", params=SIZES)
def model(request):
    return tiny_model(max_length=3000, more=(BoxModality(), PointModality()), **SIZES[request.param])


@pytest.fixture
def image(model):
    return examples.scenes(model)[0]


def painted(*layers):
    return {"background": None, "layers": list(layers), "composite": None}


def drawing(model, prompt="a red star", *, size=(), **settings):
    """The events of a drawing with these settings."""
    defaults = {
        "negative": "",
        "n": 1,
        "best_of": 1,
        "seed": 0,
        "guidance": 1.0,
        "temperature": 1.0,
        "top_p": 1,
    }
    return list(Draw(model).draw(prompt, *(defaults | settings).values(), *size))


def test_every_tab_is_built(model):
    names = [block.label for block in build(model).blocks.values() if type(block).__name__ == "Tab"]
    assert [name for name in names if name in ("Draw", "Describe", "Chat", "Edit", "Tokens")] == [
        "Draw", "Describe", "Chat", "Edit", "Tokens"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "learned, tabs",
    [
        ("captions drawings", ["Draw", "Describe", "Edit", "Tokens"]),
        ("questions chat", ["Describe", "Chat", "Tokens"]), ("edits", ["Edit", "Tokens"]),
    ],
)  # fmt: skip
def test_a_tab_whose_task_was_never_learned_says_so(learned, tabs):
    words = (TaskExample("remove the star"),)
    model = tiny_model(shape=(6, 6), tasks=[LearnedTask(name, words) for name in learned.split()])
    blocks = build(model).blocks.values()
    names = f"it learned: {', '.join(learned.split())}."
    lines = [block.value for block in blocks if type(block).__name__ == "Markdown"]
    never = [line for line in lines if line.startswith("This model never learned")]
    assert len(never) == 5 - len(tabs) and all(line.endswith(names) for line in never)
    ways = [block.label for block in blocks if type(block).__name__ == "Tab" and block.id is None]
    assert ways == {"captions drawings": ["Redraw a part", "Vary"], "edits": ["Instruct"]}.get(learned, [])
    buttons = {block.value: block.visible for block in blocks if type(block).__name__ == "Button"}
    assert buttons.get("Ask", False) == ("questions" in learned)
    assert examples.instructions(model)[0] == (
        "remove the star" if "edits" in learned else "make the star blue"
    )


def test_drawings_are_those_of_draw_by_their_seeds(model):
    size = (24, 24) if model.codec.modalities["image"].shape is None else ()
    *growing, (images, status) = drawing(model, n=2, seed=5, size=size)
    assert "Seeds 5 to 6 draw these again" in status and len(growing[0][0]) == 1
    for path, seed in zip(images, (5, 6), strict=True):
        expected = model.draw("a red star", seed=seed, guidance_scale=1.0, size=size or None)[0]
        assert Image.open(path).resize(expected.size, Image.Resampling.BOX).tobytes() == expected.tobytes()


def test_all_settings_of_a_drawing_count_and_are_in_its_file(model):
    options = {"seed": 3, "guidance_scale": 3.0, "top_p": 0.5, "negative": "blue", "size": None}
    settings = {"negative": " blue", "seed": 3, "guidance": 3.0, "top_p": 0.5}
    for best_of in (1, 3):
        *_, ((path,), _) = drawing(model, best_of=best_of, **settings)
        expected = model.draw("a red star", best_of=best_of, **options)[0]
        with Image.open(path) as image:
            assert image.text["prompt"] == "a red star" and image.text["seed"] == "3"
            assert image.resize(expected.size, Image.Resampling.BOX).tobytes() == expected.tobytes()
        assert Path(path).name == "a-red-star-seed-3.png"
        made = made_from(path)
        assert (made["best_of"], made["guidance"], made["negative"]) == (best_of, 3.0, " blue")


def test_examples_are_the_best_drawings_of_the_example_prompts():
    model = tiny_model(shape=(2, 3), example_prompts=["a", "b"])
    drawn = draw_examples(model)
    assert [prompt for _, prompt in drawn][:2] == ["a", "b"]
    path = drawn[1][0]
    small = Image.open(path).resize((12, 8), Image.Resampling.BOX)
    assert small.tobytes() == model.draw("b", best_of=4)[0].tobytes() and made_from(path)["best_of"] == 4


def test_invalid_prompts_are_reported(model):
    assert 'role="alert"' in drawing(model, " ")[-1][1]
    assert "too long" in drawing(model, "x" * 4000)[-1][1]
    if model.codec.modalities["image"].shape is None:
        assert "9" in drawing(model, size=(9, 9))[-1][1]


def test_captions_and_answers(model, image):
    shown, text, status = list(Describe(model).caption(image))[-1]
    expected = model.caption(shown_view(model, image))[0]
    assert text == expected and "Done" in status and Image.open(shown)
    path = serve_image(image)
    assert list(Describe(model).caption(path))[-1][1] == text, "an upload is a file"
    assert "Done" in list(Describe(model).ask(image, "what?"))[-1][2]
    hot = [list(Describe(model).caption(image, 2.0, 4, seed))[-1][1] for seed in (0, 0, 1)]
    assert hot[0] == hot[1] != hot[2] and len(hot[0].encode(errors="replace")) <= 12, "four ids at most"
    assert "Ask something" in list(Describe(model).ask(image, ""))[-1][2]
    assert "Choose a picture" in list(Describe(model).caption(None))[-1][2]


def test_a_conversation_grows(model):
    chat = Chat(model)
    messages, _, past, _ = list(chat.send({"text": "hello", "files": []}, Conversation()))[-1]
    assert messages[0] == {"role": "user", "content": "hello"} and past.seed == 1
    drawn, _, more, _ = list(chat.draw(past))[-1]
    assert (
        type(drawn[-1]["content"]).__name__ == "Image"
        and more.document[: len(past.document)] == past.document
    )
    assert "Write something" in list(chat.send(None, past))[-1][3]


def test_edits(model, image):
    edit, photo = Edit(model), serve_image(image)
    *_, (((_, before), (path, after)), _) = edit.redraw(photo, None, "the left half", "a star", 1, 0)
    assert (before, after) == ("before", "after") and made_from(path)["part"] == "the left half"
    assert "Paint over" in list(edit.redraw(photo, painted(), "the painted part", "a star", 1, 0))[-1][1]
    layer = Image.new("RGBA", image.size)
    layer.paste((225, 29, 72, 170), (0, 0, image.width // 2, image.height))
    same = list(edit.redraw(photo, painted(layer), "the painted part", "a star", 1, 0))[-1][0][1][0]
    assert Image.open(same).tobytes() == Image.open(path).tobytes()
    assert len(list(edit.vary(photo, None, "a star", 0.5, 0))[-1][0]) == 4
    assert "drew all of the picture" in list(edit.instruct(photo, None, "make it blue", 0))[-1][1]
    for handler in (edit.redraw(None, None, next(iter(PARTS)), "a", 1, 0), edit.instruct(None, None, "a", 0)):
        assert "Choose a picture first" in list(handler)[-1][1]


def test_an_edited_photo_keeps_its_size_and_all_pixels_outside_the_paint(model):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8))
    layer = Image.new("RGBA", (400, 300))
    layer.paste((225, 29, 72, 170), (180, 100, 260, 220))
    *_, ((_, (path, _)), status) = Edit(model).redraw(
        serve_image(photo), painted(layer), "the painted part", "a star", 1, 0
    )
    old, new = np.asarray(photo), np.asarray(Image.open(path))
    assert old.shape == new.shape and "400 × 300 pixels is as it was" in status
    changed = (old != new).any(axis=2)
    assert changed[100:220, 180:260].mean() > 0.9
    changed[100:220, 180:260] = False
    assert not changed.any()


def test_codes_are_encoded_changed_and_restored(model, image):
    tokens = Tokens(model)
    *_, grid, status = list(tokens.encode(image, ""))[-1]
    assert "0 changed" in status and grid.current.shape == model.encode_image(image).shape
    code = (int(grid.current[1, 2]) + 1) % 16
    *_, row, column, shown, changed, status = list(tokens.change(grid, "a star", 2, 3, code))[-1]
    assert (row, column, shown) == (
        2,
        3,
        code,
    )  # with the status: a later event would overwrite what is typed
    assert "1 changed" in status and changed.changed == [(1, 2)] and int(changed.current[1, 2]) == code
    assert "0 changed" in list(tokens.undo(changed, ""))[-1][-1]
    assert "there is no row 99" in list(tokens.change(grid, "", 99, 1, 0))[-1][-1]
    assert "got 99999" in list(tokens.change(grid, "", 1, 1, 99999))[-1][-1]
    assert "Encode the picture first" in list(tokens.change(None, "", 1, 1, 0))[-1][-1]
    path, marked, field = tokens.mark(changed, 2, 3)
    assert (field, marked.cell) == (code, (1, 2)) and Image.open(path)
    assert len(tokens.mark(changed, 99, 1)) == len(tokens.mark(None, 1, 1)) == 3


def test_residual_codes_have_a_column_each():
    model = tiny_model(shape=(6, 6), max_length=200, quantizer=_residual())
    *images, row, column, _, grid, status = list(Tokens(model).encode(examples.scenes(model)[0], ""))[-1]
    assert grid.current.shape == (6, 12) and "72 codes" in status and all(map(Image.open, images))
    assert (row, column) == (1, 1)
    assert "The code must be in" in list(Tokens(model).change(grid, "", 1, 2, 0))[-1][-1]


def _residual():
    from unitok.models.image_tokenizer.vector_quantizers import ResidualCodebooks

    return ResidualCodebooks(EMACodebook(16), 2)


def test_an_image_dropped_into_the_editor_is_edited_instead(model, image):
    photo, value = _show(model, serve_image(image))
    red = Image.new("RGB", (500, 400), "red")
    for shown, size in ((Image.open(value["background"]), enlarge(image).size), (red, red.size)):
        handler = Edit(model).redraw(photo, {"background": shown}, "the left half", "a star", 1, 0)
        assert Image.open(list(handler)[-1][0][1][0]).size == size
