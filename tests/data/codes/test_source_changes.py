"""A change of any file of a set, and of any content of a document, is noticed."""

import os
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from unitok.data.codes.source_changes import HashedSource, compute_stamp
from unitok.data.faults import SampleError
from unitok.data.source import Source
from unitok.document import Codes, Segment, TurnText
from unitok.modalities.geometry import Point


class Given(Source):
    """These documents; an error is raised."""

    def __init__(self, *documents):
        self.documents = documents

    def __len__(self):
        return len(self.documents)

    def __getitem__(self, index):
        if isinstance(self.documents[index], Exception):
            raise self.documents[index]
        return self.documents[index]


@dataclass(frozen=True)
class Wave:
    """Content of a modality from outside, whose repr is shortened."""

    samples: np.ndarray


def sum_of(*documents) -> str:
    source = HashedSource(Given(*documents))
    for index in range(len(source)):
        try:
            source[index]
        except ValueError:
            continue
    return source.digest


def test_sums_of_different_documents_differ():
    image = Image.new("RGB", (4, 4))
    changed = image.copy()
    changed.putpixel((3, 3), (0, 0, 1))
    contents = [
        "a",
        "b",
        "\ud800",
        TurnText("a", ("user:",)),
        TurnText("a", ()),
        torch.zeros(2),
        torch.zeros(2, 1),
    ]
    contents += [Wave(np.arange(5000)), Wave(np.append(np.arange(4999), 0))]
    contents += [image, changed, image.convert("L"), Point(0.5, 0.2), Point(0.5, 0.3)]
    documents = [(Segment("text", content),) for content in contents]
    documents += [(Segment("text", "a", learn=False),), (Codes("text", torch.zeros(2).long(), (2,)),), ()]
    documents += [SampleError("no caption", "x"), SampleError("no picture", "x"), ValueError("y")]
    sums = [sum_of(document) for document in documents]
    assert len(set(sums)) == len(sums) - 1, "a text without marks is a text"
    assert sums == [sum_of(document) for document in documents]
    one, two = (Segment("text", "a"),), (Segment("text", "b"),)
    assert len({sum_of(one, two), sum_of(two, one), sum_of((*one, *two)), sum_of(one)}) == 4


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set/inner").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("set/a.txt", "set/inner/b.png", "elsewhere/c.txt"):
        (tmp_path / name).write_text("content")
    (tmp_path / "set/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/linked/round").symlink_to(tmp_path / "set")
    return tmp_path


def test_a_stamp_changes_with_every_file(folder):
    described = {"source": str(folder / "set"), "format": None}
    stamps = [compute_stamp(described), compute_stamp(described | {"format": "pairs"})]
    for name in ("set/a.txt", "set/inner/b.png", "elsewhere/c.txt"):
        times = (folder / name).stat()
        (folder / name).write_text("CONTENT")
        os.utime(folder / name, ns=(times.st_atime_ns, times.st_mtime_ns))  # as `cp -p` leaves it
        stamps.append(compute_stamp(described))
    (folder / "set/new.txt").write_text("")
    stamps.append(compute_stamp(described))
    assert None not in stamps and len(set(stamps)) == len(stamps) and compute_stamp(described) == stamps[-1]


def test_there_is_no_stamp_where_files_are_not_known(folder):
    (folder / "list.csv").write_text("a,b")
    assert compute_stamp({"source": str(folder / "list.csv")}) is None
    assert compute_stamp({"source": "shapes"}) is None
    assert compute_stamp({"source": [str(folder / "set/a.txt"), str(folder / "set")]}) is not None
