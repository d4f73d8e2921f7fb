"""Which checkpoint a run resumes from; reading one runs no code and needs no device of its own."""

import pickle
import zipfile
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import Trainer

from unitok.training.run.checkpoint import LAST, PREVIOUS, AtomicCheckpointIO, best_weights, choose_readable
from unitok.training.run.trainer import RunFolder


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def checkpoint(step: int) -> dict:
    return {"state_dict": {"weights": torch.full((1000,), float(step))}, "global_step": step}


@pytest.fixture
def folder(tmp_path):
    """With the checkpoints of steps 1 and 2."""
    for step in (1, 2):
        AtomicCheckpointIO().save_checkpoint(checkpoint(step), tmp_path / LAST)
    return tmp_path


def step_of(path: str) -> int:
    return AtomicCheckpointIO().load_checkpoint(path)["global_step"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def flip(path: Path) -> None:
    """One byte of a tensor, which torch would read without a word."""
    with zipfile.ZipFile(path) as records:
        largest = max(records.infolist(), key=lambda record: record.file_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + 2000] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def pickled(path: Path) -> None:
    torch.save({"state_dict": Touch(path.with_name("ran"))}, path)


def plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Touch(path.with_name("ran"))))


def other_content(path: Path) -> None:
    torch.save(torch.zeros(3), path)


def sharded(path: Path) -> None:
    """As torch.distributed.checkpoint writes it: what it holds is a pickle."""
    path.unlink()
    path.mkdir()
    (path / ".metadata").write_bytes(pickle.dumps(Touch(path.with_name("ran"))))
    torch.save({"state_dict": Touch(path.with_name("ran"))}, path / "meta.pt")


DAMAGES = [cut, flip, empty, pickled, plain_pickle, other_content, sharded, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_the_last_cannot_be_read_the_previous_is(folder, damage, caplog):
    assert step_of(choose_readable(folder / LAST)) == 2
    damage(folder / LAST)
    assert step_of(choose_readable(folder / LAST)) == 1
    assert "resuming from previous.ckpt" in caplog.text and not (folder / "ran").exists()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["best.ckpt", LAST])
def test_where_no_other_can_be_read_that_is_an_error(folder, damage, name):
    (folder / LAST).rename(folder / name)
    (folder / PREVIOUS).write_bytes(b"damaged")
    damage(folder / name)
    with pytest.raises(ValueError, match=rf"{name}: "):
        choose_readable(folder / name)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("damage", [cut, empty, other_content])
def test_a_damaged_checkpoint_never_takes_the_place_of_the_previous(folder, damage):
    damage(folder / LAST)
    AtomicCheckpointIO().save_checkpoint(checkpoint(3), folder / LAST)
    assert [step_of(folder / name) for name in (LAST, PREVIOUS)] == [3, 1]


def test_a_checkpoint_needs_no_device_of_the_run_that_wrote_it(folder, monkeypatch):
    places, load = [], torch.load

    def spied(*args, map_location=None, **options):
        places.append(map_location)
        return load(*args, map_location=map_location, **options)

    monkeypatch.setattr(torch, "load", spied)
    step_of(choose_readable(folder / LAST))
    assert {str(place) for place in places} == {"cpu"}


def test_a_strategy_that_writes_folders_is_refused_at_the_start(tmp_path):
    from lightning.pytorch.strategies import ModelParallelStrategy

    strategy = ModelParallelStrategy(data_parallel_size=1, tensor_parallel_size=1)
    with pytest.raises(ValueError, match="save_distributed_checkpoint=false"):
        RunFolder(default_root_dir=tmp_path, accelerator="cpu", devices=1, strategy=strategy,
                  enable_progress_bar=False)  # fmt: skip


@pytest.mark.parametrize(("last", "kept"), [(1.0, False), (1.005, False), (1.5, True)])
def test_the_best_weights_are_taken_where_the_last_validation_was_worse(tmp_path, last, kept):
    path = tmp_path / "best.ckpt"
    torch.save({"state_dict": {"w": torch.ones(2)}, "global_step": 40}, path)
    best = Mock(monitor="val/loss", best_model_score=torch.tensor(1.0), best_model_path=str(path))
    trainer = Mock(
        spec=Trainer, checkpoint_callbacks=[Mock(monitor=None), best], callback_metrics={"val/loss": last},
        lightning_module=Mock(device_mesh=None),
    )  # fmt: skip
    found = best_weights(trainer)
    assert (found is not None) == kept
    if found is not None:
        assert found.step == 40 and found.state_dict["w"].tolist() == [1, 1]
        assert found.reason == "their val/loss 1 was the best, the last one 1.5"
