"""Names and shards that are not as they should be are counted, and named with why."""

import os
import socket
import threading

import pytest

from tests.data.samples import all_told, png, told, write_images, write_lines, write_tar
from unitok.data.faults import Fault
from unitok.data.source import read, warn_once
from unitok.data.sources import open_data


@pytest.fixture(autouse=True)
def _said_anew():
    warn_once.cache_clear()


def pair(key: str, colour: str = "red") -> dict[str, bytes]:
    return {f"{key}.png": png(colour), f"{key}.txt": key.encode()}


def faults(source) -> list[tuple[str, str]]:
    return sorted((fault.reason, fault.path.rpartition(":")[2]) for fault in source.faults)


# ---- dots


def test_an_image_that_a_dot_takes_from_its_sample_is_a_fault(tmp_path):
    write_tar(
        tmp_path / "a.tar", pair("photo") | pair("photo.v2") | pair("deep/other.1.5") | pair("deep.er/last")
    )
    source = open_data(tmp_path)
    assert [said for said, _ in all_told(source)] == ["photo", "deep.er/last"]
    assert faults(source) == [("dot in the name", "deep/other.1.5.png"), ("dot in the name", "photo.v2.png")]
    assert "a key ends at the first dot, so this is one more file of photo" in str(source.faults[0])


def test_where_dots_take_all_one_name_is_shown(tmp_path):
    write_tar(tmp_path / "a.tar", pair("22.00") | pair("22.01") | pair("22.02") | {"lost.txt": b"a"})
    with pytest.raises(ValueError, match=r"skipped 3 dot in the name, 1 no picture, such as .*:22\.00\.png"):
        open_data(tmp_path)


@pytest.mark.parametrize("beside", ["json", "cls", "TXT"])
def test_what_lies_beside_says_whether_an_image_was_meant_for_a_sample(tmp_path, caplog, beside):
    masks = {name: png() for name in ("a.mask.png", "a.depth.PNG", "b.mask.png")}
    files = pair("a") | pair("b") | masks
    write_tar(tmp_path / "a.tar", files)
    assert not open_data(tmp_path).faults
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}: 3 images beside those of samples are ignored: .mask.png, .depth.png"
    ]
    write_tar(tmp_path / "a.tar", files | {f"a.mask.{beside}": b"{}"})
    assert faults(open_data(tmp_path)) == [("dot in the name", "a.mask.png")]


def test_a_sample_without_caption_stays_one_beside_an_image_with_a_dot(tmp_path):
    write_tar(
        tmp_path / "a.tar", pair("x") | {"a.png": png(), "a.2.png": png(), "b.2.png": png(), "b.txt": b"b"}
    )
    assert faults(open_data(tmp_path)) == [
        ("dot in the name", "a.2.png"),
        ("dot in the name", "b.2.png"),
        ("no caption", "a"),
    ]


# ---- shards and files that are none


def test_an_empty_shard_among_others_is_counted(tmp_path):
    write_tar(tmp_path / "a.tar", pair("x"))
    write_tar(tmp_path / "b.tar", {})
    (tmp_path / "c.tar").write_bytes(b"")
    assert faults(open_data(tmp_path)) == [("empty file", str(tmp_path / "c.tar"))]
    (tmp_path / "a.tar").unlink()
    with pytest.raises(ValueError, match=r"1 empty file, such as .*c\.tar: empty file"):
        open_data(tmp_path)


SPECIAL = ("a.tar", "a.parquet", "data/train.parquet", "annotations/captions_train.json")


@pytest.mark.parametrize("name", SPECIAL)
def test_a_pipe_that_is_named_like_data_is_refused(tmp_path, name):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    os.mkfifo(file)
    with pytest.raises(ValueError, match=f"{file.name}: neither a file nor a folder"):
        within(lambda: open_data(tmp_path))


def within(made, seconds: float = 60):
    """What is made within some time: who waits for a pipe waits for ever."""
    found = []

    def make():
        try:
            found.append(made())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, "it waits"
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


@pytest.mark.parametrize("format", ["coco", "table", "webdataset", "idx", "llava", "texts"])
def test_a_pipe_as_the_path_is_refused(tmp_path, format):
    names = {"coco": "a.json", "webdataset": "a.tar", "idx": "train-images-idx3-ubyte"}
    file = tmp_path / names.get(format, "a.jsonl")
    os.mkfifo(file)
    with pytest.raises((ValueError, FileNotFoundError), match=file.name):
        within(lambda: open_data(file, format=format))


@pytest.mark.parametrize("name", ["state.json", "dataset_info.json", "a.arrow"])
def test_a_pipe_in_a_saved_set_is_refused(tmp_path, name):
    pytest.importorskip("pyarrow")
    (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "a.arrow"}]}')
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises((ValueError, FileNotFoundError)):
        within(lambda: open_data(tmp_path, format="texts"))


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_no_record_makes_a_run_wait_for_a_pipe(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path, "red")
    if kind == "pipe":
        os.mkfifo("odd.png")
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind("odd.png")
    elif kind == "device":
        os.symlink("/dev/zero", "odd.png")
    else:
        os.mkdir("odd.png")
    names = ("odd.png", "red.png")
    file = write_lines(tmp_path / "list.jsonl", [{"image": name, "text": "a"} for name in names])
    source = open_data(file)
    found = within(lambda: [read(source, index) for index in (0, 1)])
    assert isinstance(found[0], Fault) and "a pipe or a device" in str(found[0])
    assert told(found[1]) == ["a", "<red>"]
    source = within(lambda: open_data(tmp_path, format="pictures"))
    found = within(lambda: [read(source, index) for index in range(len(source))])
    assert [told(one) for one in found if not isinstance(one, Fault)] == [["<red>"]]
