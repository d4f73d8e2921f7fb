"""A full disk or an unwritable folder loses nothing that a run had saved."""

import errno
import resource
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.data.codes.test_store import CODEC, Pictures, write
from tests.tiny_model import tiny_model
from train.tokenizer import main
from unitok.api.contact_sheet import write_png
from unitok.atomic_files import append_lines
from unitok.data.codes.store import INDEX, Store
from unitok.training.run.checkpoint import LAST, PREVIOUS, AtomicCheckpointIO

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
    with pytest.raises(OSError, match=rf"No space left on device: '.*{LAST}'$"):
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


@contextmanager
def full(most: int):
    """No file can grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


CONTENTS = {
    "one tensor": {"weights": torch.zeros(100_000)},
    "many tensors": {f"weights{i}": torch.zeros(50) for i in range(100)},
    "no tensor": {"words": "x" * 50_000},
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_wherever_a_checkpoint_is_cut_off_its_file_is_named(tmp_path, content):
    files, path, whole = AtomicCheckpointIO(), tmp_path / LAST, tmp_path / "whole"
    files.save_checkpoint({"state_dict": content}, whole)
    files.save_checkpoint(checkpoint(1.0), path)
    before, size = path.read_bytes(), whole.stat().st_size
    whole.unlink()
    for most in (0, 1, 700, size // 3, size - 1100, size - 100, size - 1):
        with full(most), pytest.raises(OSError, match=rf"File too large: '{path}'$"):
            files.save_checkpoint({"state_dict": content}, path)
        assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_store_that_fills_the_disk_says_where_and_is_gone_on_with(tmp_path):
    for most in (500, 1000):  # a shard has more bytes than the first, the index more than both
        with full(most), pytest.raises(OSError, match=rf"File too large: '{tmp_path}/s/"):
            write(tmp_path / "s", Pictures(60))
        assert not (tmp_path / "s" / INDEX).exists() and not list((tmp_path / "s").glob(".*"))
    write(tmp_path / "s", Pictures(60))
    assert len(Store(tmp_path / "s", CODEC)) == 60


def test_an_export_that_fills_the_disk_says_where_and_the_model_before_stays(tmp_path):
    folder = tmp_path / "model"
    tiny_model().save_pretrained(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for most in (0, 5000, 20_000):
        with full(most), pytest.raises(OSError, match=rf"File too large: '{folder}'$"):
            tiny_model().save_pretrained(folder)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_pictures_and_lines_that_fill_the_disk_say_where(tmp_path):
    image = Image.effect_noise((64, 64), 90)
    write_png(tmp_path / "p.png", image)
    before = (tmp_path / "p.png").read_bytes()
    with full(1000), pytest.raises(OSError, match=rf"File too large: '{tmp_path}/p.png'$"):
        write_png(tmp_path / "p.png", image)
    with full(1000), pytest.raises(OSError, match=rf"File too large: '{tmp_path}/lines'$"):
        append_lines(tmp_path / "lines", ["x" * 5000])
    assert (tmp_path / "p.png").read_bytes() == before


RUN = ("fit", "--config", "configs/tokenizer/tiny.yaml", "--threads", "1", "--ckpt_path", "auto",
       "--trainer.enable_progress_bar", "false", "--trainer.val_check_interval", "1",
       "--trainer.limit_val_batches", "1", "--data.train.init_args.count", "80",
       "--data.val.init_args.count", "16")  # fmt: skip


@pytest.mark.parametrize(("most", "named"), [(3000, "logs/events"), (150_000, LAST)])
def test_a_run_on_a_full_disk_ends_in_one_line_and_keeps_what_it_had(tmp_path, capfd, most, named):
    options = [*RUN, "--trainer.default_root_dir", str(tmp_path)]
    main([*options, "--trainer.max_steps", "2"])
    files = [path for path in tmp_path.rglob("*") if path.name in (LAST, PREVIOUS, "model.safetensors")]
    before = {path: path.read_bytes() for path in files}
    capfd.readouterr()
    hook = threading.excepthook
    with full(most), pytest.raises(SystemExit) as ended:
        main([*options, "--trainer.max_steps", "4"])
    told = [line for line in capfd.readouterr().err.splitlines() if "File too large" in line]
    assert ended.value.code == 2 and len(told) == 1
    assert told[0].startswith(
        f"unitok train-tokenizer: error: [Errno 27] File too large: '{tmp_path}/{named}"
    )
    assert {path: path.read_bytes() for path in files} == before
    assert threading.excepthook is hook
