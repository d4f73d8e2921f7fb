"""Paths, splits and formats: what is there is recognised, and what is not is said."""

import pickle

import pytest

from tests.data.samples import all_told, formats, png, told, whole, write_images, write_lines, write_tar
from unitok.data.faults import Fault, SampleError
from unitok.data.readers.detect_format import FORMATS
from unitok.data.source import SplitOf
from unitok.data.sources import open_data


def test_a_folder_with_one_file_of_records_is_that_file(image_folder):
    write_lines(image_folder / "all.jsonl", [{"image": "red.png", "caption": "red"}])
    assert all_told(whole(image_folder)) == [["red", "<red>"]]
    assert all_told(whole(image_folder, format="pictures")) == [["<blue>"], ["<red>"]]


def test_several_paths_are_read_together(tmp_path):
    write_images(tmp_path / "a", "red")
    write_tar(tmp_path / "b.tar.gz", {"x.png": png("blue"), "x.txt": b"blue"}, mode="w:gz")
    assert all_told(whole([str(tmp_path / "a"), str(tmp_path / "b.tar.gz")])) == [
        ["<red>"],
        ["blue", "<blue>"],
    ]


def test_parts_are_folders_or_files_of_that_name(tmp_path):
    write_images(tmp_path / "a/train", "red")
    write_images(tmp_path / "a/validation", "blue")
    assert all_told(whole(tmp_path / "a", split="val")) == [["<blue>"]]
    assert all_told(whole(tmp_path / "a")) == [["<red>"], ["<blue>"]]
    with pytest.raises(FileNotFoundError, match="no split test, only train, val"):
        whole(tmp_path / "a", split="test")
    write_images(tmp_path / "b", "red", "blue")
    for name, colour in (("train", "red"), ("dev", "blue")):
        write_lines(tmp_path / f"b/{name}.jsonl", [{"image": f"{colour}.png", "text": colour}])
    assert all_told(whole(tmp_path / "b", split="val")) == [["blue", "<blue>"]]


def test_without_parts_a_share_is_held_out(tmp_path):
    file = write_lines(tmp_path / "t.jsonl", [{"text": str(i)} for i in range(45)])
    train, val = whole(file, split="train"), whole(file, split="val")
    assert [told(d)[0] for d in val] == ["0", "20", "40"] and len(train) == 42
    assert sorted(int(told(d)[0]) for s in (train, val) for d in s) == list(range(45))
    with pytest.raises(ValueError, match="no split test"):
        whole(file, split="test")
    with pytest.raises(IndexError):
        train[42]
    only_train = tmp_path / "s"
    write_images(only_train / "train", *(f"#{i:06x}" for i in range(21)))
    assert len(whole(only_train, split="train")) == 19 and isinstance(whole(only_train, split="val"), SplitOf)


def test_what_is_unknown_is_told_with_all_that_was_looked_for(tmp_path):
    (tmp_path / "a.xyz").write_text("?")
    for path in (tmp_path, tmp_path / "a.xyz"):
        with pytest.raises(ValueError, match="no known format") as error:
            open_data(path)
        assert str(error.value).endswith(f"--data.format chooses one: {', '.join(FORMATS)}")
    with pytest.raises(ValueError, match=r"format must be one of webdataset, .* got 'nope'"):
        open_data(tmp_path, format="nope")
    with pytest.raises(FileNotFoundError, match="gone: not found"):
        open_data(tmp_path / "gone")


def test_a_stray_or_damaged_file_hides_no_pictures(tmp_path):
    write_images(tmp_path, "red")
    (tmp_path / "notes.json").write_text('{"half": ')
    with pytest.raises(ValueError, match=r"notes\.json looks like captions and is not read: not JSON"):
        formats(tmp_path)
    assert all_told(whole(tmp_path, captions=False)) == all_told(whole(tmp_path, format="pictures"))
    for name, content in (
        ("a.json", "[1, "),
        ("b.csv", ""),
        ("c.csv", "a,a\n1,2\n"),
        ("d.jsonl", "x\n"),
        ("e.json", "[]"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match="no known format"):
            open_data(tmp_path / name)
    with pytest.raises(ValueError, match=r"a\.json: no known format: not JSON"):
        open_data(tmp_path / "a.json")
    (tmp_path / "c.json").write_text('{"images": [], "annotations": [3]}')
    with pytest.raises(ValueError, match="no known format"):
        open_data(tmp_path / "c.json")


def test_the_files_of_parts_come_before_folders_of_pictures(tmp_path):
    for part, colour in (("train", "red"), ("val", "blue")):
        write_images(tmp_path / part, colour)
        write_lines(tmp_path / f"{part}.jsonl", [{"image": f"{part}/{colour}.png", "text": colour}])
    assert all_told(whole(tmp_path, split="val")) == [["blue", "<blue>"]]


def test_damaged_samples_raise_what_says_how(tmp_path):
    file = write_lines(tmp_path / "t.jsonl", [{"text": "a"}, 3])
    with pytest.raises(SampleError, match=r"t\.jsonl: got 3") as error:
        open_data(file)[1]
    assert error.value.fault == Fault("not a JSON object", str(file), "got 3", 14)
    assert pickle.loads(pickle.dumps(error.value)).fault == error.value.fault
