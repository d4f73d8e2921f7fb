"""Folders of images: alone, with texts beside them, or with the name of a class."""

import pytest

from tests.data.samples import all_told, formats, png, told, whole, write_images


def test_pictures_alone(tmp_path):
    write_images(tmp_path / "deep", "blue")
    write_images(tmp_path, "red")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert formats(tmp_path) == "pictures"
    assert all_told(whole(tmp_path)) == [["<blue>"], ["<red>"]]


def test_pictures_with_texts_beside_them(tmp_path):
    write_images(tmp_path, "red", "lime", "blue")
    (tmp_path / "red.txt").write_text(" a red one\n")
    (tmp_path / "lime.TXT").write_bytes("ein grünes".encode("utf-8-sig"))
    (tmp_path / "gone.txt").write_text("nothing")
    (tmp_path / "red.jpg").write_bytes(png("red"))
    assert formats(tmp_path) == "pairs"
    source = whole(tmp_path)
    assert sorted(all_told(source)) == [["a red one", "<red>"], ["ein grünes", "<lime>"]]
    assert {(fault.reason, fault.path.rpartition("/")[2]) for fault in source.faults} == {
        ("no caption", "blue.png"),
        ("no picture", "gone.txt"),
        ("file twice", "red.png"),
    }


def test_folders_of_classes_with_a_template(tmp_path):
    write_images(tmp_path / "fire_truck", "red")
    write_images(tmp_path / "train", "blue")
    assert formats(tmp_path) == "classes"
    assert all_told(whole(tmp_path)) == [["fire truck", "<red>"], ["train", "<blue>"]]
    assert told(whole(tmp_path, template="a photo of a {}")[0])[0] == "a photo of a fire truck"
    with pytest.raises(ValueError, match=r"must have \{\}"):
        whole(tmp_path, template="a photo")
