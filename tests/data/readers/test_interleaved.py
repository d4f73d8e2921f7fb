"""Pages of OBELICS and MMC4 are documents in which texts and images alternate."""

from tests.data.samples import all_told, formats, told, whole, write_lines
from unitok.data.source import read


def test_obelics_pages(image_folder):
    file = write_lines(
        image_folder / "pages.jsonl",
        [
            {"texts": ["one", None, " ", "two"], "images": [None, "red.png", None, None]},
            {"texts": [None, "three"], "images": ["deep/blue.png", None]},
            {"texts": ["a"], "images": [None, None]},
            {"texts": ["a"], "images": ["red.png"]},
            {"texts": [None], "images": ["https://somewhere/a.png"]},
            {"texts": [None], "images": [None]},
        ],
    )
    assert formats(file) == "obelics"
    source = whole(file)
    assert [told(source[i]) for i in (0, 1)] == [["one", "<red>", "two"], ["<blue>", "three"]]
    assert [read(source, i).reason for i in range(2, 6)] == [
        *("parts do not match", "parts do not match", "url, not a file", "empty caption"),
    ]  # fmt: skip


def test_mmc4_pages(image_folder):
    file = write_lines(
        image_folder / "pages.jsonl",
        [
            {
                "text_list": ["One.", "Two.", "Three."],
                "image_info": [
                    {"image_name": "deep/blue.png", "matched_text_index": 2},
                    {"image_name": "red.png", "matched_text_index": 0},
                ],
            },
            {"text_list": ["One."], "image_info": [{"image_name": "red.png", "matched_text_index": 1}]},
        ],
    )
    assert formats(file) == "mmc4"
    source = whole(file)
    assert told(source[0]) == ["<red>", "One. Two.", "<blue>", "Three."]
    assert read(source, 1).reason == "parts do not match"


def test_a_page_may_have_empty_names_in_place_of_images(image_folder):
    page = {"texts": ["one", "", "two"], "images": ["", "red.png", None]}
    assert all_told(whole(write_lines(image_folder / "pages.jsonl", [page]))) == [["one", "<red>", "two"]]
