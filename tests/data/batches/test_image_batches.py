"""Damaged images are left out of an image tokenizer's batches; images are held in memory where they fit."""

import pytest

from tests.data.samples import png, write_images, write_tar
from unitok.data.batches.batch_sampler import DocumentBatch
from unitok.data.batches.image_batches import ImageBatches
from unitok.data.readers.folders import PictureFolder
from unitok.data.readers.webdataset import WebDataset


@pytest.fixture
def sets(tmp_path):
    write_images(tmp_path / "a", "red", "blue")
    write_tar(tmp_path / "b.tar", {"x.png": png("lime"), "x.txt": b"lime", "y.png": b"<html>", "y.txt": b"y"})
    return tmp_path


@pytest.mark.parametrize("preload", [True, False])
def test_damaged_pictures_are_left_out_of_batches(sets, preload):
    images = ImageBatches(WebDataset(f"{sets}/b.tar"), size=(8, 8), preload=preload)
    assert len(images) == (1 if preload else 2)
    batch = images[DocumentBatch(0, [0] if preload else [0, 1])]
    assert batch.shape == (1, 3, 8, 8) and images.faults.counts == {"not a picture": 1}
    if not preload:
        for window in (DocumentBatch(0, [1]), DocumentBatch(0, [])):
            assert images[window].shape == (0, 3, 8, 8)


def test_pictures_are_held_only_where_they_fit(sets, monkeypatch, caplog):
    source = PictureFolder(f"{sets}/a")
    held = ImageBatches(source, size=(8, 8), preload=True)
    assert held.preloaded and not caplog.messages
    monkeypatch.setattr("unitok.data.batches.image_batches.free_memory", lambda: 2 * held.bytes - 1)
    read = ImageBatches(source, size=(8, 8), preload=True)
    assert not read.preloaded and held.bytes == 2 * 8 * 8 * 3
    (line,) = caplog.messages
    assert line.startswith("2 images of 8 x 8 pixels take") and "data.workers" in line
    window = DocumentBatch(0, [1, 0])
    assert (held[window] == read[window]).all()
