"""MNIST and its kin under all names that people have them by; what swells is cut off."""

import gzip
import struct
from itertools import product

import pytest

from tests.data.samples import formats, whole
from unitok.data.readers import mnist_idx
from unitok.data.readers.mnist_idx import Idx
from unitok.data.source import read
from unitok.data.sources import open_data


def write(file, *, count: int, sides=(2, 2), body: bytes | None = None) -> None:
    """Images (or without sides labels), each of its number."""
    size = 4 if sides else 1
    head = struct.pack(f">HBB{1 + len(sides)}I", 0, 8, 1 + len(sides), count, *sides)
    content = head + (bytes(n for n in range(count) for _ in range(size)) if body is None else body)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(content) if file.name.endswith(".gz") else content)


def write_set(folder, prefix: str, *, count: int, form=("-", "-", ""), own_folders: bool = False) -> None:
    for kind, number, sides in (("images", 3, (2, 2)), ("labels", 1, ())):
        name = f"{prefix}{kind}{form[0]}idx{number}{form[1]}ubyte{form[2]}"
        write(folder / name / name if own_folders else folder / name, count=count, sides=sides)


def counts(path) -> list[int]:
    return [len(open_data(path, split=part)) for part in ("train", "val", "test", None)]


@pytest.mark.parametrize("form", product("-.", "-.", ("", ".gz")))
@pytest.mark.parametrize("own_folders", [False, True])
@pytest.mark.parametrize("prefix", ["{}-", "emnist-letters-{}-", "{}_", "mnist.{}."])
def test_every_spelling_is_recognised(tmp_path, form, own_folders, prefix):
    write_set(tmp_path, prefix.format("train"), count=41, form=form, own_folders=own_folders)
    write_set(tmp_path, prefix.format("t10k"), count=3, form=form, own_folders=own_folders)
    assert counts(tmp_path) == [38, 3, 3, 44]


def test_labels_may_be_spelled_otherwise(tmp_path):
    write(tmp_path / "train-images.idx3-ubyte", count=3)
    write(tmp_path / "train-labels-idx1-ubyte.gz", count=3, sides=())
    assert [document[0].content for document in open_data(tmp_path)] == ["0", "1", "2"]


def test_packed_and_plain_beside_each_other_and_in_folders_are_one_set(tmp_path):
    for form, own_folders in ((("-", "-", ".gz"), False), (("-", "-", ""), True), ((".", "-", ""), False)):
        for name, count in (("train", 41), ("t10k", 3)):
            write_set(tmp_path, f"{name}-", count=count, form=form, own_folders=own_folders)
    assert counts(tmp_path) == [38, 3, 3, 44]


def test_two_sets_in_a_folder_are_told_apart_by_a_path(tmp_path):
    for name in ("letters", "digits"):
        write_set(tmp_path, f"emnist-{name}-train-", count=21)
    with pytest.raises(
        FileNotFoundError, match=r"got emnist-digits-train-.*, emnist-letters-.*; give the path of one"
    ):
        open_data(tmp_path, split="train")
    assert len(open_data(tmp_path / "emnist-digits-train-images-idx3-ubyte", split="train")) == 19
    with pytest.raises(FileNotFoundError, match="no split test, only train"):
        open_data(tmp_path, split="test")


def test_a_name_that_only_begins_so_is_another_file(tmp_path):
    write_set(tmp_path, "train-", count=3)
    (tmp_path / "train-images-idx3-ubyte.gz.part").write_bytes(b"half")
    (tmp_path / "._train-images-idx3-ubyte").write_bytes(b"a Mac's")
    assert len(open_data(tmp_path)) == 3
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="with its …-labels-idx1-ubyte"):
        Idx(str(tmp_path))


def test_a_packed_file_that_swells_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist_idx, "ALWAYS_ALLOWED", 2**16)
    write(tmp_path / "train-images-idx3-ubyte.gz", count=2**20, body=bytes(2**22))
    write(tmp_path / "train-labels-idx1-ubyte", count=2**20, sides=(), body=bytes(2**20))
    source = open_data(tmp_path)
    assert [fault.reason for fault in source.faults] == ["archive too large"]
    assert source.images.nbytes <= max(2**16, 100 * (tmp_path / "train-images-idx3-ubyte.gz").stat().st_size)


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_a_header_that_promises_more_than_there_is(tmp_path, packed):
    write(tmp_path / f"train-images-idx3-ubyte{packed}", count=2**29, body=bytes(9))
    write(tmp_path / "train-labels-idx1-ubyte", count=2**31, sides=(), body=bytes(9))
    source = open_data(tmp_path)
    assert len(source) == 2 and [fault.reason for fault in source.faults] == ["truncated archive"] * 2
    write(tmp_path / f"train-images-idx3-ubyte{packed}", count=2**30, sides=(2**16, 2**16), body=b"")
    with pytest.raises(ValueError, match="not an idx file of bytes"):
        open_data(tmp_path)


def write_idx(folder, name, *, count=3, cut=0):
    head = struct.pack(">HBBIII", 0, 8, 3, count, 2, 2)
    body = bytes(byte for i in range(count) for byte in [255 * (i % 2)] * 4)
    (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + body[: len(body) - cut]))
    labels = struct.pack(">HBBI", 0, 8, 1, count) + bytes(range(count))
    (folder / f"{name}-labels-idx1-ubyte").write_bytes(labels)


def test_idx_files_of_mnist(tmp_path):
    write_idx(tmp_path, "train", count=41)
    write_idx(tmp_path, "t10k")
    assert formats(tmp_path) == "idx"
    assert len(whole(tmp_path)) == 44 and len(whole(tmp_path, split="test")) == 3
    assert len(whole(tmp_path, split="val")) == 3 and len(whole(tmp_path, split="train")) == 38
    source = whole(tmp_path, split="test", names=["no", "one", "two"], template="digit {}")
    assert [document[0].content for document in source] == ["digit no", "digit one", "digit two"]
    assert [document[1].content.getpixel((1, 1)) for document in source] == [(0,) * 3, (255,) * 3, (0,) * 3]
    few = whole(tmp_path, split="test", names=["no"])
    assert read(few, 1).reason == "parts do not match"


def test_a_cut_idx_file_loses_its_tail(tmp_path):
    write_idx(tmp_path, "train", cut=3)
    source = whole(tmp_path)
    assert len(source) == 2 and [fault.reason for fault in source.faults] == ["truncated archive"]
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x0d\3" + b"\xff" * 12))
    with pytest.raises(ValueError, match="not an idx file of bytes in 3 dimensions"):
        whole(tmp_path)
