"""Sheets of pictures: sizes, marks, any number; and the files of drawings."""

import numpy as np
import pytest
from PIL import Image

from unitok.api.contact_sheet import GAP, PAPER, RIGHT, WRONG, save_images, sheet, side_by_side


def square(colour="red", size=(16, 16)):
    return Image.new("RGB", size, colour)


def colours(page):
    return {tuple(pixel) for pixel in np.asarray(page).reshape(-1, 3).tolist()}


def test_pictures_stand_in_rows_of_equal_cells():
    page = sheet([square()] * 5, ["x"] * 5, columns=3, side=32)
    assert page.width == 3 * (32 + GAP) + GAP
    pixels = np.asarray(page)
    for place in range(6):
        x, y = GAP + place % 3 * (32 + GAP) + 16, GAP + place // 3 * ((page.height - GAP) // 2) + 16
        assert tuple(pixels[y, x]) == ((255, 0, 0) if place < 5 else PAPER)


def test_small_pictures_are_enlarged_without_new_colours():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 2, (4, 4, 3), np.uint8) * 255)
    assert colours(sheet([noise], [""], side=32)) == colours(noise) | {PAPER}


def test_a_title_stands_above_the_grid():
    plain, titled = sheet([square()], ["x"], side=32), sheet([square()], ["x"], side=32, title="step 1")
    top = titled.height - plain.height
    assert top > 0 and titled.crop((0, top, *titled.size)).tobytes() == plain.tobytes()
    assert colours(titled.crop((0, 0, titled.width, top))) != {PAPER}


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (500, 400), (7, 3)])
def test_pictures_of_any_shape_fit_their_cell(size):
    page = sheet([square(size=size)], ["x"], side=32)
    red = np.argwhere(np.asarray(page)[:, :, 1] == 0)
    assert np.ptp(red, axis=0).max() + 1 == 32


def test_pictures_side_by_side_keep_their_sizes_and_order():
    row = side_by_side([square("red", (4, 6)), square("blue", (3, 5))])
    assert row.size == (4 + GAP + 3, 6)
    assert [row.getpixel((x, 0)) for x in (3, 4, 4 + GAP)] == [(255, 0, 0), PAPER, (0, 0, 255)]
    alone = square()
    assert side_by_side([alone]) is alone
    with pytest.raises(ValueError, match="images must not be empty"):
        side_by_side([])


def test_marks_colour_the_label_only():
    for mark, ink in ((True, RIGHT), (False, WRONG)):
        page = sheet([square()], ["label"], marks=[mark])
        assert ink in colours(page) and not {RIGHT, WRONG} - {ink} & colours(page)


def test_long_labels_wrap_and_make_room():
    assert sheet([square()], ["word " * 40]).height > sheet([square()], ["word"]).height + 50


def test_labels_stay_under_their_picture():
    page = np.asarray(sheet([square()] * 2, ["W" * 60 + " " + "word " * 99, ""], side=64))
    inked = (page < 200).all(axis=2).any(axis=0)
    assert inked[GAP:].any() and not inked[GAP + 64 + 1 :].any()
    assert page.shape[0] < 64 + 8 * 13 + 3 * GAP


def test_odd_labels_and_no_pictures_are_drawn_too():
    sheet([square()] * 3, ["", "日本語 🦊", "\x00\n"])
    assert sheet([], []).height > 0


def test_each_picture_needs_a_label():
    with pytest.raises(ValueError, match="got 2 and 1"):
        sheet([square()] * 2, ["one"])


def test_pictures_are_not_changed():
    image = Image.new("L", (4, 4), 9)
    sheet([image], ["grey"])
    assert image.mode == "L" and image.size == (4, 4)


def test_files_are_named_after_their_prompts(tmp_path):
    drawn = [square(colour) for colour in ("red", "green", "blue", "white")]
    paths = save_images(drawn, ["A Cat!", "../../etc"], tmp_path / "deep/folder")
    assert [path.name for path in paths] == [
        "00-a-cat-0.png",
        "00-a-cat-1.png",
        "01-etc-0.png",
        "01-etc-1.png",
        "sheet.png",
    ]
    assert all(path.parent == tmp_path / "deep/folder" for path in paths)
    assert Image.open(paths[2]).getpixel((0, 0)) == (0, 0, 255)


def test_prompts_without_letters_and_long_ones_have_names_too(tmp_path):
    paths = save_images([square()] * 2, ["日本", "x" * 500], tmp_path)
    assert [path.name for path in paths] == ["00-picture-0.png", f"01-{'x' * 48}-0.png", "sheet.png"]
