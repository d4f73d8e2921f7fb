"""Images on the page: overlays, the model's view, throttling."""

import importlib.util
import time
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from tests.tiny_model import tiny_model
from unitok.data.files.images import load_image
from unitok.modalities.geometry import Box, Point
from unitok.modalities.vision import VisionConfig
from unitok.page.model_view import enlarged_shown_view, enlarged_view, model_view, shown_view
from unitok.page.overlay import SIDE, draw_grid, draw_heat_map, draw_places, enlarge
from unitok.page.throttle import throttle


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))


def test_small_images_are_enlarged_by_integer_factors():
    assert enlarge(noise(48, 48)).size == (384, 384) and enlarge(noise(50, 30)).size == (350, 210)
    assert enlarge(noise(500, 400)).size == (500, 400)


@pytest.mark.parametrize("shape", [(2, 3), (6, 6)])
def test_the_enlarged_view_is_exactly_the_models(shape):
    model = tiny_model(shape=shape)
    seen = model_view(model, noise(100, 70))
    assert seen.size == (4 * shape[1], 4 * shape[0])
    large = enlarged_view(model, seen)
    assert max(large.size) == SIDE
    again = model_view(model, enlarged_view(model, large))
    assert model_view(model, large).tobytes() == seen.tobytes() == again.tobytes()


@pytest.mark.parametrize("size", [(100, 47), (8, 8), (24, 16), (13, 90), (500, 600)])
def test_a_model_that_sees_tiles_is_shown_all_of_an_upload(size):
    model, photo = tiny_model(vision=VisionConfig(tiles=6)), noise(*size)
    seen, again = (shown_view(model, one) for one in (photo, enlarged_shown_view(model, photo)))
    assert seen.tobytes() == again.tobytes() == model.codec.vision.fit(photo).tobytes()


def test_a_photograph_whose_size_is_a_multiple_is_fitted_like_any_other():
    model, photo = tiny_model(), noise(384, 256)
    assert model_view(model, photo).tobytes() == model.codec.modalities["image"].fit(photo).tobytes()


def test_models_of_any_size_keep_the_size():
    assert enlarged_view(tiny_model(shape=None), noise(12, 16)).size == (12, 16)


def test_a_missing_image_is_reported():
    with pytest.raises(ValueError, match="Choose a picture first"):
        model_view(tiny_model(), None)


@pytest.mark.parametrize("shape", [(2, 3), None])
def test_an_upload_is_read_as_on_the_command_line(tmp_path, shape):
    model, clear = tiny_model(shape=shape), noise(12, 8).convert("RGBA")
    clear.putalpha(noise(12, 8).getchannel("R"))
    clear.save(tmp_path / "clear.png")
    expected = model.codec.modalities["image"].fit(load_image(tmp_path / "clear.png"))
    for source in (str(tmp_path / "clear.png"), Image.open(tmp_path / "clear.png")):
        assert model_view(model, source).tobytes() == expected.tobytes()
        assert model_view(model, enlarged_view(model, source)).tobytes() == expected.tobytes()
    with pytest.raises(ValueError, match=r"gone\.png: No such file"):
        model_view(model, str(tmp_path / "gone.png"))


def test_boxes_and_points_are_where_they_should_be():
    plain = Image.new("RGB", (48, 48), "white")
    marked = np.asarray(draw_places(plain, [Box(0.25, 0.25, 0.75, 0.75), Point(0.1, 0.9)]))
    inked = (marked != 255).any(axis=2)
    assert inked[96, 200] and inked[287, 200] and inked[200, 96] and not inked[200, 200]
    assert inked[345, 38] and not inked[30, 30]


def test_grids_and_heat_maps_have_the_size_of_the_enlarged_image():
    labels = [["1", "222"], ["3", "4"]]
    assert draw_grid(noise(8, 8), labels, chosen=(0, 1), changed=[(1, 1)]).size == (384, 384)
    heat = np.asarray(draw_heat_map(Image.new("RGB", (8, 8), "white"), [[0.0, 8.0], [0.0, 0.0]]))
    assert heat[20, 20].sum() > heat[20, 370].sum() + 150
    assert draw_heat_map(noise(8, 8), [[0.0]]).size == (384, 384)


@dataclass
class Update:
    done: bool


def test_updates_are_throttled_and_complete_ones_never_dropped():
    updates = (Update(done=k in (3, 9)) for k in range(10))
    assert [update.done for update in throttle(updates, pause=60)] == [False, True, True]

    def slowly():
        for _ in range(3):
            time.sleep(0.02)
            yield Update(done=False)

    assert len(list(throttle(slowly(), pause=0.01))) == 3


@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="gradio is not installed")
def test_an_image_is_written_once(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    from unitok.page.served_images import serve_image

    path = serve_image(noise(8, 8))
    before = (tmp_path / path).stat().st_mtime_ns
    assert serve_image(noise(8, 8)) == path and (tmp_path / path).stat().st_mtime_ns == before
    assert serve_image(noise(8, 9)) != path and len(list(tmp_path.rglob("*.png"))) == 2
    assert Image.open(path).tobytes() == noise(8, 8).tobytes()
