"""Pixels are those of transformers' image processors on Pillow, whatever an image's shape."""

import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from unitok.interop.vision.image_processor import ImageProcessor, read_image_processor

transformers = pytest.importorskip("transformers")
from transformers import (  # noqa: E402
    BitImageProcessorPil,
    BlipImageProcessorPil,
    CLIPImageProcessorPil,
    LlavaImageProcessorPil,
    SiglipImageProcessorPil,
)

SQUARE = {"height": 24, "width": 24}
PROCESSORS = {
    "CLIP": CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size=SQUARE),
    "SigLIP": SiglipImageProcessorPil(size=SQUARE),
    "DINOv2": BitImageProcessorPil(
        size={"shortest_edge": 28}, crop_size=SQUARE, resample=3, image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    ),
    "BLIP-2": BlipImageProcessorPil(size=SQUARE),
    "LLaVA, padded": LlavaImageProcessorPil(size={"shortest_edge": 24}, crop_size=SQUARE, do_pad=True),
    "not rescaled": SiglipImageProcessorPil(size=SQUARE, do_rescale=False, image_mean=[9.0, 8.0, 7.0]),
    "not normalised": CLIPImageProcessorPil(
        size={"shortest_edge": 20}, crop_size=SQUARE, do_normalize=False, resample=2
    ),
}  # fmt: skip
SIZES = [(24, 24), (30, 17), (17, 30), (100, 41), (41, 100), (7, 5), (1, 60), (25, 24), (333, 332)]


def noise(size: tuple[int, int]) -> Image.Image:
    width, height = size
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def normalised(ours: ImageProcessor, image: Image.Image) -> np.ndarray:
    pixels = np.asarray(ours.fit(image, ours.size), dtype=np.float64) / 255
    return ((pixels - ours.mean) / ours.std).transpose(2, 0, 1)


@pytest.mark.parametrize("theirs", PROCESSORS.values(), ids=PROCESSORS)
def test_pixels_are_those_of_transformers(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    ours = read_image_processor(tmp_path)
    assert ours.size == (24, 24)
    for size in SIZES:
        expected = theirs(noise(size), return_tensors="np")["pixel_values"][0]
        unit = 1 / 255 / min(ours.std)  # the size of one step of a pixel
        assert np.abs(normalised(ours, noise(size)) - expected).max() < unit, size


@pytest.mark.parametrize("theirs", PROCESSORS.values(), ids=PROCESSORS)
def test_what_is_written_is_read_by_both(theirs, tmp_path):
    theirs.save_pretrained(tmp_path / "theirs")
    ours = read_image_processor(tmp_path / "theirs")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours/preprocessor_config.json").write_text(json.dumps(ours.to_json()))
    assert read_image_processor(tmp_path / "ours") == ours
    again = transformers.AutoImageProcessor.from_pretrained(tmp_path / "ours", backend="pil")
    expected = theirs(noise((41, 100)), return_tensors="np")["pixel_values"]
    assert np.abs(again(noise((41, 100)), return_tensors="np")["pixel_values"] - expected).max() < 1e-4


@pytest.mark.parametrize("theirs", PROCESSORS.values(), ids=PROCESSORS)
@pytest.mark.parametrize("size", [(200, 120), (120, 200), (150, 150)])
def test_edges_are_those_of_what_is_kept(theirs, size, tmp_path):
    theirs.save_pretrained(tmp_path)
    ours, (width, height) = read_image_processor(tmp_path), size
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    image = Image.fromarray(np.stack((columns, rows, 0 * rows), axis=-1).astype(np.uint8))
    left, top, right, bottom = ours.crop_edges(image, ours.size)
    fitted = np.asarray(ours.fit(image, ours.size), dtype=float)
    cell = (right - left) / 24, (bottom - top) / 24
    for row, column in ((8, 8), (15, 12), (12, 15)):  # inside of any padding
        x, y = left + (column + 0.5) * cell[0], top + (row + 0.5) * cell[1]
        assert abs(fitted[row, column, 0] - x) < cell[0] and abs(fitted[row, column, 1] - y) < cell[1]


@pytest.mark.parametrize("name", ["CLIP", "SigLIP", "DINOv2", "LLaVA, padded"])
def test_a_very_long_image_takes_no_more_memory_than_others(name, tmp_path):
    PROCESSORS[name].save_pretrained(tmp_path)
    ours, line = read_image_processor(tmp_path), Image.new("RGB", (2_000_000, 1), (9, 8, 7))
    tracemalloc.start()
    pixels = np.asarray(ours.fit(line, ours.size))
    assert tracemalloc.get_traced_memory()[1] < 2**20  # of Python; Pillow's would be 10 GB
    tracemalloc.stop()
    assert pixels.shape == (24, 24, 3)
    assert "padded" in name or tuple(pixels[12, 12]) == (9, 8, 7)


def test_another_size_has_the_same_margin():
    processor = ImageProcessor((24, 24), 28, False, 3, (0.0,) * 3, (1.0,) * 3)
    image = Image.linear_gradient("L").convert("RGB")
    small, large = (np.asarray(processor.fit(image, (side, side))) for side in (24, 240))
    assert large.shape == (240, 240, 3)
    assert abs(int(small[0, 0, 0]) - int(large[0, 0, 0])) < 6


def test_null_is_the_default(tmp_path):
    absent = {"do_center_crop": None, "do_rescale": None, "crop_size": None, "do_pad": None}
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(PROCESSORS["SigLIP"].to_dict() | absent))
    assert read_image_processor(tmp_path) == ImageProcessor((24, 24), None, False, 3, (0.5,) * 3, (0.5,) * 3)


def test_settings_are_found_in_the_file_of_a_processor(tmp_path):
    settings = PROCESSORS["SigLIP"].to_dict()
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    assert read_image_processor(tmp_path).size == (24, 24)


def test_the_oldest_settings_have_plain_numbers(tmp_path):
    settings = {"size": 24, "crop_size": 24, "do_center_crop": True, "resample": 3}
    means = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings | means))
    assert read_image_processor(tmp_path) == ImageProcessor((24, 24), 24, False, 3, (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"do_resize": False}, "do_resize must be true, got false"),
        ({"size": {"max_pixels": 9}}, "size must be height and width, or a shortest edge, got .*max_pixels"),
        ({"size": {"height": 0, "width": 3}}, "size must be height and width"),
        ({"do_center_crop": True, "crop_size": {"height": 20, "width": 20}}, "crop_size must be the size to"),
        ({"image_mean": [0.5]}, "image_mean must be three numbers, got .0.5."),
        ({"resample": 99}, "99 is not a valid Resampling"),
    ],
)
def test_other_settings_are_refused(changes, said, tmp_path):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(PROCESSORS["SigLIP"].to_dict() | changes))
    with pytest.raises(ValueError, match=f"{path}: {said}"):
        read_image_processor(tmp_path)


def test_a_folder_without_settings_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"preprocessor_config.json not found"):
        read_image_processor(tmp_path)
