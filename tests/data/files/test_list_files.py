"""Folders as people have them: links, loops, closed folders, and what systems leave behind."""

import os

import pytest

from tests.data.samples import all_told, write_images
from unitok.data.files.list_files import walk
from unitok.data.sources import open_data


def names(path, *, faults=None):
    return [str(file.relative_to(path)) for file in walk(path, ".png", faults=faults)]


def test_links_to_folders_are_followed(tmp_path):
    write_images(tmp_path / "elsewhere", "red")
    write_images(tmp_path / "set/here", "blue")
    (tmp_path / "set/there").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "only").mkdir()
    (tmp_path / "only/a").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "set") == ["here/blue.png", "there/red.png"]
    assert all_told(open_data(tmp_path / "only")) == [["<red>"]]


def test_each_real_folder_is_read_once_so_that_a_loop_ends(tmp_path):
    write_images(tmp_path / "set/here", "blue")
    write_images(tmp_path / "beside", "red")
    for name, target in (("loop", "set"), ("up", "."), ("twin", "set/here"), ("here/down", "set/here")):
        (tmp_path / "set" / name).symlink_to(tmp_path / target)
    (tmp_path / "set/self").symlink_to("self")
    faults = []
    assert names(tmp_path / "set", faults=faults) == ["here/blue.png"]
    assert [(fault.reason, os.path.basename(fault.path)) for fault in faults] == [("missing file", "self")]


@pytest.mark.parametrize("format", ["pictures", "pairs", "classes"])
def test_a_link_to_nothing_is_a_fault(tmp_path, format):
    write_images(tmp_path / "red", "red")
    write_images(tmp_path / "blue", "blue")
    (tmp_path / "red/red.txt").write_text("a red one")
    (tmp_path / "there").symlink_to("/nowhere/at/all")
    source = open_data(tmp_path, format=format)
    fault = next(fault for fault in source.faults if fault.reason == "missing file")
    assert fault.path.endswith("/there") and fault.detail == "a link to /nowhere/at/all, which does not exist"


def test_a_pipe_is_a_fault_and_nobody_waits_for_it(tmp_path):
    write_images(tmp_path, "red")
    os.mkfifo(tmp_path / "a.png")
    source = open_data(tmp_path, format="pictures")
    assert all_told(source) == [["<red>"]] and source.faults[0].detail == "neither a file nor a folder"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_folder_is_a_fault(tmp_path):
    write_images(tmp_path / "closed", "red")
    (tmp_path / "closed").chmod(0)
    faults = []
    assert names(tmp_path, faults=faults) == [] and faults[0].reason == "unreadable"


def test_what_systems_leave_behind_is_passed_over(tmp_path):
    write_images(tmp_path, "red")
    for name in ("__MACOSX", ".ipynb_checkpoints", "@eaDir", "__pycache__"):
        write_images(tmp_path / name, "blue")
    (tmp_path / "Thumbs.db").write_bytes(b"?")
    assert names(tmp_path) == ["red.png"]


@pytest.mark.parametrize("format", ["pictures", "pairs", "classes"])
def test_images_of_a_kind_that_is_not_read_are_faults(tmp_path, format):
    write_images(tmp_path / "a", "red")
    (tmp_path / "a/red.txt").write_text("a red one")
    for name in ("b.HEIC", "c.avif"):
        (tmp_path / "a" / name).write_bytes(b"?")
        (tmp_path / "a" / name).with_suffix(".txt").write_text("another")
    source = open_data(tmp_path, format=format)
    assert len(source) == 1 and [fault.reason for fault in source.faults] == ["not a picture"] * 2
    assert source.faults[0].detail.endswith("save it as PNG or JPEG")
