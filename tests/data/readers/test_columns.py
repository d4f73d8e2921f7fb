"""Columns of a table, by their names or by what they hold."""

import pytest
from PIL import Image

from unitok.data.readers.columns import CAPTION_COLUMNS, IMAGE_COLUMNS, find_column, guess_pair


@pytest.fixture
def folder(tmp_path):
    """With an image in it and one below it."""
    (tmp_path / "images").mkdir()
    for name in ("red.png", "images/blue.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    return tmp_path


def test_known_names_count_in_any_case_and_spacing():
    assert find_column(["Title", "File Name"], None, IMAGE_COLUMNS) == "File Name"
    assert find_column(["Title", "File Name"], None, CAPTION_COLUMNS) == "Title"
    assert (
        find_column(["a", "b"], "b", IMAGE_COLUMNS) == "b" and find_column(["a"], None, IMAGE_COLUMNS) is None
    )


@pytest.mark.parametrize(
    ("record", "pair"),
    [
        ({"file": "red.png", "label": "a red one", "count": "3"}, ("file", "label")),
        ({"shown": "blue.png", "said": "a blue one"}, ("shown", "said")),
        ({"file": "red.png", "what": "a red one", "split": "train"}, ("file", "what")),
        ({"file": "absent.png", "label": "a red one"}, None),
        ({"file": "red.png", "label": "a red one", "source": "a book"}, None),
        ({"file": "red.png", "other": "blue.png", "label": "a red one"}, None),
        ({"file": "red.png", "count": "3"}, None),
        ({"file": "../red.png", "label": "a red one"}, None),
    ],
)
def test_columns_are_guessed_where_one_names_images_and_one_holds_words(folder, record, pair):
    assert guess_pair([record], folder) == pair


def test_without_records_nothing_is_guessed(folder):
    assert guess_pair([], folder) is None
