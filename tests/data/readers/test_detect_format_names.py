"""Names of the same letters in other bytes, as Macs write them, are the same names."""

import json
from unicodedata import normalize

import pytest

from tests.data.samples import all_told, png, write_lines, write_tar
from unitok.data.sources import open_data

FORMS = [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")]
NAME = "Größe/über"


def write(folder, form, suffix, content):
    file = folder / normalize(form, NAME + suffix)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


@pytest.mark.parametrize(("shown", "said"), FORMS)
def test_a_record_names_its_picture_in_either_form(tmp_path, shown, said):
    write(tmp_path, shown, ".png", png())
    row = {"file_name": normalize(said, NAME) + ".png", "text": "a red one"}
    write_lines(tmp_path / "metadata.jsonl", [row])
    assert all_told(open_data(tmp_path)) == [["a red one", "<red>"]]
    absolute = {"image": str(tmp_path / row["file_name"]), "text": "a red one"}
    assert all_told(open_data(write_lines(tmp_path / "a.jsonl", [absolute]))) == [["a red one", "<red>"]]


@pytest.mark.parametrize(("shown", "said"), FORMS)
def test_a_folder_and_a_file_may_be_of_two_forms(tmp_path, shown, said):
    folder = tmp_path / normalize(shown, "Größe")
    folder.mkdir()
    (folder / normalize(said, "über.png")).write_bytes(png())
    write_lines(tmp_path / "a.jsonl", [{"image": NAME + ".png", "text": "a red one"}])
    assert all_told(open_data(tmp_path / "a.jsonl")) == [["a red one", "<red>"]]


@pytest.mark.parametrize(("shown", "said"), FORMS)
def test_pictures_and_texts_are_pairs_in_either_form(tmp_path, shown, said):
    for form, suffix, content in ((shown, ".png", png()), (said, ".txt", b"a red one")):
        (tmp_path / normalize(form, "Größe" + suffix)).write_bytes(content)
    source = open_data(tmp_path)
    assert source.format == "pairs" and all_told(source) == [["a red one", "<red>"]] and not source.faults


@pytest.mark.parametrize(("shown", "said"), FORMS)
def test_files_of_a_shard_are_one_sample_in_either_form(tmp_path, shown, said):
    files = {normalize(shown, NAME + ".png"): png(), normalize(said, NAME + ".txt"): b"a red one"}
    source = open_data(write_tar(tmp_path / "a.tar", files))
    assert all_told(source) == [["a red one", "<red>"]] and not source.faults


@pytest.mark.parametrize(("shown", "said"), FORMS)
def test_coco_names_its_pictures_in_either_form(tmp_path, shown, said):
    write(tmp_path, shown, ".png", png())
    content = {
        "images": [{"id": 1, "file_name": normalize(said, NAME) + ".png"}],
        "annotations": [{"id": 1, "image_id": 1, "caption": "a red one"}],
    }
    (tmp_path / "captions.json").write_text(json.dumps(content))
    assert all_told(open_data(tmp_path / "captions.json")) == [["a red one", "<red>"]]


def test_a_class_has_one_name_in_either_form(tmp_path):
    for split, form in (("train", "NFC"), ("val", "NFD")):
        for name in ("Größe", "über"):
            folder = tmp_path / split / normalize(form, name)
            folder.mkdir(parents=True)
            (folder / "a.png").write_bytes(png())
    train, val = (all_told(open_data(tmp_path, split=part)) for part in ("train", "val"))
    assert train == val == [["Größe", "<red>"], ["über", "<red>"]]
