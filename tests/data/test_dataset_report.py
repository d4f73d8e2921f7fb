"""`train/encode.py check` says what is in a set and what is wrong with it; the codes' report says it too."""

import json

import pytest
from PIL import Image

from tests.data.samples import png, write_images, write_lines, write_tar
from train.encode import main
from unitok.data.dataset_report import check_source, spread
from unitok.data.faults import Fault, TooManyFaults
from unitok.data.source import Source
from unitok.document import Segment


@pytest.fixture
def shards(tmp_path):
    files = {}
    for number in range(12):
        files[f"{number}.png"] = png("red", (8, 4 + number)) if number != 5 else b"<html>"
        files[f"{number}.txt"] = b"word " * (number + 1) if number != 6 else b" "
    del files["7.txt"]
    (tmp_path / "set").mkdir()
    write_tar(tmp_path / "set/train-0.tar", files)
    return tmp_path / "set"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_set_is_read_and_described(shards, tmp_path, capsys, workers):
    out = tmp_path / "report"
    main(["check", str(shards), "--out", str(out), "--workers", workers])
    said = capsys.readouterr().out
    for line in (
        f"{shards}: WebDataset, 11 documents",
        "12 samples: 9 intact, 3 corrupt",
        "  9 documents of 1 texts, 1 pictures",
        "  width: 8 to 8 pixels, median 8",
        "  height: 4 to 15 pixels, median 8",
        "  letters: 4 to 59 letters a text, median 24",
        f"  fault: 1 × not a picture, such as {shards}/train-0.tar:5.png (byte ",
        f"{out}: data_report.json, pictures.png",
    ):
        assert line in said
    report = json.loads((out / "data_report.json").read_text())
    assert report["reasons"] == {"no caption": 1, "not a picture": 1, "empty caption": 1}
    assert all(fault["offset"] is not None for fault in report["listed"])
    assert Image.open(out / "pictures.png").size[0] > 8 * 128


def test_parts_formats_and_settings_are_passed_on(tmp_path, capsys):
    write_images(tmp_path / "set/val", "red", "blue")
    write_images(tmp_path / "set/train", "red")
    out = ["--out", str(tmp_path / "out")]
    main(["check", str(tmp_path / "set"), "--split", "val", *out])
    assert "PictureFolder, 2 documents" in capsys.readouterr().out
    (tmp_path / "t.txt").write_text("a\nb\n\nc")
    main(["check", str(tmp_path / "t.txt"), "--format", "text", "--set", "unit=line", *out])
    assert "3 documents of 1 texts, 0 pictures" in capsys.readouterr().out
    for wrong, said in (
        (["--format", "nope"], "format must be one of webdataset"),
        (["--split", "some"], "split must be one of all, train"),
        (["--set", "colour=red"], "unexpected keyword argument 'colour'"),
    ):
        with pytest.raises(SystemExit):
            main(["check", str(tmp_path / "t.txt"), *wrong, *out])
        assert said in capsys.readouterr().err


def test_names_cannot_steer_the_terminal(tmp_path, capsys):
    write_lines(tmp_path / "t.jsonl", [{"image": "\x1b[2Jgone.png", "text": "a\x1b[31m"}])
    main(["check", str(tmp_path / "t.jsonl"), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert "missing file" in said and "\x1b" not in said


class Numbers(Source):
    """Texts, of which every second is faulty."""

    def __len__(self):
        return 3000

    def __getitem__(self, index):
        if index % 2:
            raise OSError("gone")
        return (Segment("text", str(index)),)


def test_the_report_is_written_also_where_the_threshold_stops(tmp_path):
    with pytest.raises(TooManyFaults, match="more than 10%"):
        check_source(Numbers(), out=tmp_path, most_faults=0.1)
    report = json.loads((tmp_path / "data_report.json").read_text())
    assert report["samples"] == 1000 and report["reasons"] == {"unreadable": 500}
    assert Fault(**report["listed"][0]) == Fault("unreadable", "document 1", "gone")
    assert not (tmp_path / "pictures.png").exists()


def test_the_spread_of_nothing_is_none():
    assert spread([]) is None and spread([3, 1, 2]) == {"least": 1, "median": 2, "most": 3}
