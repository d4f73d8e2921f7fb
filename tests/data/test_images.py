"""The one door for pictures: every honest variant becomes the same RGB, every bad file one clear error."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unitok.data.images import ImageError, load_image


def as_bytes(picture: Image.Image, form: str = "PNG", **options) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def half_and_half() -> Image.Image:
    """Red on the left, blue on the right: 8 wide, 4 high."""
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :4], pixels[:, 4:] = (255, 0, 0), (0, 0, 255)
    return Image.fromarray(pixels)


def test_paths_bytes_and_files_are_the_same(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(as_bytes(half_and_half()))
    with path.open("rb") as file:
        pictures = [load_image(path), load_image(str(path)), load_image(path.read_bytes()), load_image(file)]
    for picture in pictures:
        assert picture.mode == "RGB" and np.array_equal(picture, half_and_half())


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK"])
def test_every_format_and_mode_becomes_rgb(form, mode):
    if (mode, form) in {(m, f) for m in ("CMYK",) for f in ("PNG", "WEBP", "GIF", "BMP")} | {("P", "JPEG")}:
        pytest.skip(f"{form} has no {mode}")
    picture = load_image(as_bytes(half_and_half().convert(mode), form))
    assert picture.mode == "RGB" and picture.size == (8, 4)


def test_alpha_lies_on_white():
    clear = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    clear.putpixel((1, 0), (0, 0, 255, 255))
    for form in ("PNG", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        assert np.asarray(load_image(as_bytes(clear, form, **options))).tolist() == [[[255] * 3, [0, 0, 255]]]
    palette = Image.new("P", (1, 1), 0)
    assert load_image(as_bytes(palette, "GIF", transparency=0)).getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_are_scaled():
    deep = Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16))
    assert np.asarray(load_image(as_bytes(deep)))[0, :, 0].tolist() == [0, 100, 255]


def test_the_exif_tag_turns_the_picture_upright():
    exif = Image.Exif()
    exif[274] = 6  # lies on its side: turn a quarter clockwise
    picture = load_image(as_bytes(half_and_half(), "PNG", exif=exif))
    assert picture.size == (4, 8)
    assert picture.getpixel((0, 0)) == (255, 0, 0) and picture.getpixel((0, 7)) == (0, 0, 255)


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_the_first_frame_of_an_animation(form):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("lime", "black")]
    options = {"lossless": True} if form == "WEBP" else {}
    picture = load_image(as_bytes(frames[0], form, save_all=True, append_images=frames[1:], **options))
    assert picture.getpixel((1, 1)) == (0, 255, 0)


def test_a_bomb_is_refused_before_it_is_decoded():
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(ImageError, match="9000 × 9000 pixels"):
        load_image(bomb)


def test_a_smaller_limit_can_be_asked_for():
    with pytest.raises(ImageError, match="8 × 4 pixels, the most is 31"):
        load_image(as_bytes(half_and_half()), most_pixels=31)


def test_errors_name_the_file_and_the_reason(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.png: No such file"):
        load_image(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ImageError, match=r"text\.png: not a picture of a known format"):
        load_image(tmp_path / "text.png")
    with pytest.raises(ImageError, match=r"known format"):
        load_image(as_bytes(half_and_half(), "ICO"))
    with pytest.raises(ImageError, match=r"^shard\.tar:a\.png: "):
        load_image(as_bytes(half_and_half())[:45], name="shard.tar:a.png")
    with pytest.raises(ImageError, match=r"a picture of 0 bytes"):
        load_image(b"")


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]), st.data())
def test_damaged_files_give_a_picture_or_the_one_error(form, data):
    whole = bytearray(as_bytes(half_and_half(), form))
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        assert load_image(cut).mode == "RGB"
    except ImageError as error:
        assert str(error).startswith("a picture of ")
