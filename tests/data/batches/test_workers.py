"""Workers outlive a signal to all processes of a run, and end when their parent says so."""

import multiprocessing
import signal
import subprocess

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from unitok.data.batches.loader import build_loader
from unitok.data.batches.packing import Batch


class Numbers(Dataset):
    """A batch is the documents' numbers."""

    def __len__(self):
        return 40

    def __getitem__(self, window):
        return torch.tensor(window.indices)


def read(loader, *signals: signal.Signals) -> list[int]:
    """All numbers; after the first batch somebody else sends every worker these signals."""
    batches = iter(loader)
    numbers = next(batches).tolist()
    for number in signals:
        for worker in multiprocessing.active_children():
            subprocess.run(["kill", f"-{number.name[3:]}", str(worker.pid)], check=True)
    return numbers + [number for batch in batches for number in batch.tolist()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_costs_no_batch(number):
    loader = build_loader(Numbers(), None, batch_size=2, workers=2, seed=None)
    assert read(loader, number, number) == list(range(40))
    assert read(loader, number) == list(range(40))


def test_a_worker_ends_when_its_parent_says_so():
    loader = build_loader(Numbers(), None, batch_size=2, workers=1, seed=None)
    next(batches := iter(loader))
    (worker,) = multiprocessing.active_children()
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0
    del batches, loader


def test_signals_reach_the_training_process_as_before():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    read(build_loader(Numbers(), None, batch_size=2, workers=1, seed=None))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_what_a_gpu_takes_lies_in_pinned_memory(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    for there, count in ((False, 0), (True, 4)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        loader = build_loader(Numbers(), None, batch_size=20, workers=0, seed=None)
        ids = np.zeros((1, 4), dtype=np.int64)
        loader._as_tensors(Batch(ids, np.zeros((1, 4, 3), dtype=np.int64), ids, ids))
        assert (loader.pin_memory, len(pinned)) == (there, count)
