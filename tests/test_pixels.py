"""One door for images and one for masks: whatever the mode, what is seen is what the same file shows."""

import warnings
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageMode

from tests.tiny_model import tiny_model
from unitok.data.files.images import load_image, load_mask
from unitok.pixels import ImageError, as_mask, as_rgb

MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "La", "PA", "RGBX",
         "RGBa", "I;16", "I;16L", "I;16B", "I;16N")  # fmt: skip
FORMS = {"PNG": "1 L LA P RGB RGBA I;16", "TIFF": "1 L LA P RGB RGBA CMYK LAB I F I;16",
         "JPEG": "L RGB CMYK", "GIF": "1 L P RGB RGBA", "WEBP": "RGB RGBA L LA P"}  # fmt: skip
SIDEWAYS = 6
"""EXIF's word for: turn a quarter clockwise."""


def patches(mode: str = "RGB") -> Image.Image:
    """12 × 8 pixels: blue on the left, white on the right, the right third transparent where the mode can."""
    image = Image.new("RGBA", (12, 8), "white")
    image.paste((0, 0, 255, 255), (0, 0, 6, 8))
    image.paste((0, 0, 0, 0), (8, 0, 12, 8))
    if mode.startswith("I;16"):
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.float32) / 255)
    if mode == "I":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.int32) * 257)
    if mode in ("LA", "La"):
        return image.convert("LA").convert(mode)
    return image.convert(mode) if mode in ("RGBA", "RGBa") else image.convert("RGB").convert(mode)


def as_file(image: Image.Image, form: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **({"lossless": True} if form == "WEBP" else {}) | options)
    return buffer.getvalue()


def files() -> dict[str, bytes]:
    """Files of many kinds whose images are easily misread."""
    found = {f"{form} {mode}": as_file(patches(mode), form) for form in FORMS for mode in FORMS[form].split()}
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    for form in ("JPEG", "PNG", "WEBP", "TIFF"):
        found[f"{form} on its side"] = as_file(patches(), form, exif=exif)
    found["PNG grey, one value transparent"] = as_file(patches("L"), "PNG", transparency=255)
    found["PNG 16 bits, one value transparent"] = as_file(patches("I;16"), "PNG", transparency=0)
    found["PNG colours, one transparent"] = as_file(patches(), "PNG", transparency=(0, 0, 255))
    found["PNG palette of alphas"] = as_file(patches().quantize(4), "PNG", transparency=b"\0\x7f\xff\x10")
    found["GIF with transparency"] = as_file(patches().quantize(4), "GIF", transparency=0)
    more = [Image.new("RGB", (12, 8), "black")]
    found["GIF of two frames"] = as_file(patches(), "GIF", save_all=True, append_images=more)
    found["PNG of two frames"] = as_file(patches(), "PNG", save_all=True, append_images=more)
    return found


FILES = files()


@pytest.mark.parametrize("kind", FILES)
def test_an_image_that_pil_opened_is_seen_as_its_file_is(kind):
    opened = Image.open(BytesIO(FILES[kind]))
    assert as_rgb(opened).tobytes() == load_image(FILES[kind]).tobytes()
    assert as_mask(opened).tobytes() == load_mask(FILES[kind]).tobytes()
    image = tiny_model().codec.modalities["image"]
    assert image.fit(opened).tobytes() == image.fit(load_image(FILES[kind])).tobytes()
    assert image.crop_edges(opened) == image.crop_edges(load_image(FILES[kind]))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_understood_and_what_came_through_once_stays(mode):
    image = patches(mode) if mode not in ("I;16L", "I;16B", "I;16N") else Image.new(mode, (12, 8), 65535)
    seen, mask = as_rgb(image), as_mask(image)
    assert seen.mode == "RGB" and mask.mode == "L" and set(np.unique(mask)) <= {0, 255}
    assert as_rgb(seen).tobytes() == seen.tobytes() and as_mask(mask).tobytes() == mask.tobytes()
    if mode in ("RGBA", "RGBa", "LA", "La"):
        assert (np.asarray(seen)[:, 9:] == 255).all() and (np.asarray(mask)[:, 9:] == 255).all()


@given(st.sampled_from([m for m in MODES if ImageMode.getmode(m).typestr == "|u1"]), st.data())
def test_noise_of_every_mode_comes_through_once(mode, data):
    size = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    count = size[0] * size[1] * len(ImageMode.getmode(mode).bands)
    image = Image.frombytes(mode, size, data.draw(st.binary(min_size=count, max_size=count)))
    if mode in ("L", "P"):
        image.info["transparency"] = data.draw(st.integers(0, 255))
    seen, mask = as_rgb(image), as_mask(image)
    assert as_rgb(seen).tobytes() == seen.tobytes() and as_mask(mask).tobytes() == mask.tobytes()


def test_an_opaque_mask_with_an_alpha_channel_is_read_by_its_light():
    mask = Image.new("RGBA", (2, 1), "black")
    mask.putpixel((1, 0), (255, 255, 255, 255))
    assert as_mask(mask).tobytes() == b"\x00\xff"
    mask.putpixel((0, 0), (0, 0, 0, 0))
    assert as_mask(mask).tobytes() == b"\xff\x00"


def test_a_mask_lies_as_its_image_does():
    model, photo = tiny_model(shape=(3, 2)), patches()
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    file = as_file(photo, "JPEG", quality=100, exif=exif)
    mask = Image.new("L", (8, 12))
    mask.paste(255, (0, 0, 8, 4))
    (drawn,) = model.inpaint(Image.open(BytesIO(file)), mask, "a", seed=1)
    again = model.inpaint(load_image(file), mask, "a", seed=1)
    assert drawn.size == (8, 12) and drawn.tobytes() == again[0].tobytes()


def test_inpainting_draws_what_is_transparent_and_nothing_else():
    model, photo = tiny_model(), patches()
    plain = Image.new("L", photo.size)
    plain.paste(255, (8, 0, 12, 8))
    clear = photo.convert("RGBA")
    clear.putalpha(plain.point(lambda value: 255 - value))
    drawn, wanted = (model.inpaint(photo, mask, "a", seed=2)[0] for mask in (clear, plain))
    assert drawn.tobytes() == wanted.tobytes()
    assert drawn.crop((0, 0, 8, 8)).tobytes() == photo.crop((0, 0, 8, 8)).tobytes()


def broken(tmp_path) -> dict[str, Image.Image]:
    """Images that PIL has opened, and that can no longer be read."""
    path = tmp_path / "torn.png"
    path.write_bytes(FILES["PNG RGB"][:60])
    closed = Image.new("RGB", (4, 4))
    closed.close()
    file = BytesIO(FILES["JPEG RGB"])
    without = Image.open(file)
    file.close()
    return {
        "torn.png": Image.open(path),
        "the image: Operation on closed": closed,
        "closed file": without,
        "0 × 5 pixels": Image.new("RGB", (0, 5)),
        "9000 × 9000 pixels": Image.new("1", (9000, 9000)),
    }


@pytest.mark.parametrize("door", [as_rgb, as_mask])
def test_what_cannot_be_read_is_told_in_one_line(door, tmp_path):
    for named, image in broken(tmp_path).items():
        with pytest.raises(ImageError, match=named):
            door(image)
    for none in (None, "a.png", np.zeros((2, 2))):
        with pytest.raises(ValueError, match=f"must be a PIL image, got {type(none).__name__}"):
            door(none)


def test_the_door_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_rgb(Image.open(BytesIO(FILES["PNG palette of alphas"])))
