"""The history, settings in the address, and images that go from tab to tab, without a browser."""

import pytest
from PIL import Image

from tests.tiny_model import tiny_model

pytest.importorskip("gradio", reason="gradio is not installed: make page installs it")

import gradio as gr

from unitok.page.history import MOST, describe, record
from unitok.page.overlay import enlarge
from unitok.page.served_images import made_from, serve_image
from unitok.page.settings import restored
from unitok.page.tab import Source, Tab


@pytest.fixture(scope="module")
def model():
    return tiny_model(shape=(6, 6))


def test_finished_images_are_kept_once_the_latest_first(model):
    made = {"tab": "draw", "prompt": "a <b>", "seed": 1, "guidance": 2.0, "negative": ""}
    plain = [enlarge(Image.new("RGB", (24, 24), (k, 9, 9))) for k in range(3)]
    images = [serve_image(image, made | {"seed": k}) for k, image in enumerate(plain)]
    paths = [(path, None) for path in images]
    unfinished = [(serve_image(Image.new("RGB", (24, 24))), None)]
    kept, gallery, _ = record(model, [], [*paths, *unfinished])
    assert [path for path, _ in gallery] == images[::-1] and gallery[0][1] == "seed 2 · guidance 2.0 · a <b>"
    again, *_ = record(model, kept, paths)
    assert again == kept and made_from(gallery[-1][0]) == made | {"seed": 0}
    assert "prompt: a &lt;b&gt; · seed: 0 · guidance: 2.0" in describe(images[0])
    assert "negative" not in describe(images[0]) and describe(None) == ""


def test_a_photo_is_kept_smaller_and_foreign_entries_are_left_out(model):
    photo = serve_image(Image.new("RGB", (900, 300), "red"), {"prompt": "a", "seed": 0})
    _, gallery, _ = record(model, ["no base64!", "aGVsbG8="], [(photo, None)])
    assert len(gallery) == 1 and Image.open(gallery[0][0]).size == (384, 128)
    assert len(record(model, ["x"] * MOST + list("abc"), [(photo, None)])[0]) <= MOST


def test_settings_are_restored_where_they_are_valid():
    settings = {
        "prompt": gr.Textbox(), "n": gr.Slider(1, 8), "seed": gr.Number(minimum=0), "part": gr.Dropdown(["a"])
    }  # fmt: skip
    tabs = {"Draw": Tab(gr.HTML(), Source(gr.State(), str, {}), settings=settings)}
    chosen, *values = restored(tabs, {"tab": "draw", "prompt": "x", "n": "3", "seed": "7", "part": "a"})
    assert chosen.selected == "draw" and values == ["x", 3.0, 7.0, "a"]
    skipped = restored(tabs, {"tab": "draw", "n": "99", "seed": "a", "part": "b"})[1:]
    assert skipped == [gr.skip()] * 4 == restored(tabs, {"tab": "other", "prompt": "x"})[1:]
