"""A step is shared where it can be, and a number of processes that cannot be had is refused."""

import pytest
import torch

from unitok.training.cores import processes
from unitok.training.cores.processes import choose_processes

RUN = {"device": torch.device("cpu"), "world_size": 1, "has_bridge": False}


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(processes, "lacks_fork", lambda: None)


def test_one_process_per_thread(two_threads):
    assert choose_processes(None, **RUN) == 2
    assert choose_processes(1, **RUN) == 1
    assert choose_processes(3, **RUN) == 3


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"device": torch.device("cuda")}, "the run is on cuda"),
        ({"world_size": 2}, "trainer.devices is above 1"),
        ({"has_bridge": True}, "rows share the images that a bridge reads"),
    ],
)
def test_where_rows_cannot_be_shared(two_threads, other, reason):
    assert choose_processes(None, **RUN | other) == 1
    with pytest.raises(ValueError, match=f"model.compute.processes must be 1, got 2: {reason}"):
        choose_processes(2, **RUN | other)


def test_where_processes_cannot_fork(two_threads, monkeypatch):
    monkeypatch.setattr(processes, "lacks_fork", lambda: "no fork here")
    assert choose_processes(None, **RUN) == 1
    with pytest.raises(ValueError, match="no fork here"):
        choose_processes(2, **RUN)
