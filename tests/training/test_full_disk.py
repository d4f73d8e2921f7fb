"""A disk that fills up, or a folder that cannot be written, costs a run nothing that it had."""

import errno
import subprocess
from pathlib import Path

import pytest
import torch

from unitok.training.checkpoint import LAST, AtomicCheckpointIO

MEGABYTE = 2**20


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB, for checkpoints of 2."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"mounting is forbidden here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def checkpoint(value: float) -> dict:
    return {"state_dict": {"weights": torch.full((2 * MEGABYTE // 4,), value)}}


def test_a_full_disk_keeps_the_checkpoint_that_was_there(small_disk):
    files = AtomicCheckpointIO()
    files.save_checkpoint(checkpoint(1.0), small_disk / LAST)
    with pytest.raises((OSError, RuntimeError)):
        files.save_checkpoint(checkpoint(2.0), small_disk / LAST)
    assert (files.load_checkpoint(small_disk / LAST)["state_dict"]["weights"] == 1.0).all()
    assert [path.name for path in small_disk.iterdir()] == [LAST]


def test_a_disk_that_refuses_keeps_the_checkpoint_and_says_why(tmp_path, monkeypatch):
    files = AtomicCheckpointIO()
    files.save_checkpoint(checkpoint(1.0), tmp_path / LAST)
    original = Path.open

    def refusing(self, mode="r", *rest, **more):
        if "w" in mode:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return original(self, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(PermissionError, match="Permission denied"):
        files.save_checkpoint(checkpoint(2.0), tmp_path / LAST)
    monkeypatch.undo()
    assert (files.load_checkpoint(tmp_path / LAST)["state_dict"]["weights"] == 1.0).all()
