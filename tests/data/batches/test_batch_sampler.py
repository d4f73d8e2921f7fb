"""Each sample is trained once an epoch, with any workers and ranks, and wherever a run was stopped."""

import random
from collections import Counter
from types import SimpleNamespace

import pytest
import torch

from tests.data.batches.test_packed_documents import CODEC, Numbered, document_data, numbers
from unitok.data.batches.batch_sampler import DocumentBatchSampler
from unitok.data.codes.store_writer import write_store
from unitok.data.document_data import DocumentData
from unitok.data.tasks import TaskConfig

COUNT, EPOCHS, BATCH = 23, 3, 4
SMALL = [(0, 2), (2, 1), (2, 2)]
FULL = [(workers, world) for workers in (0, 1, 2, 4) for world in (1, 2)]


def stops(total: int, seed: int) -> list[int]:
    """Numbers of batches after which a run is stopped; the last is its end."""
    rng = random.Random(seed)
    return [*sorted(rng.sample(range(1, total), 2)), total]


def trained(train, *, workers: int, rank: int, world: int, until: list[int]) -> list[list[torch.Tensor]]:
    """The batches on which one rank is trained, by a new data module after each stop."""
    batches: list[list[torch.Tensor]] = []
    for stop in until:
        progress = SimpleNamespace(total=SimpleNamespace(processed=len(batches)))
        loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))
        data: DocumentData = document_data(
            train, workers=workers, seed=5, task=TaskConfig(condition_dropout=0.0)
        )
        data.trainer = SimpleNamespace(
            global_rank=rank, world_size=world, fit_loop=loop, default_root_dir="unused"
        )
        data.setup("fit")
        loader = data.train_dataloader()
        while len(batches) < stop:
            for batch in loader:  # one pass; what the workers have read ahead is lost with them
                batches.append(list(batch))
                progress.total.processed = len(batches)
                if len(batches) == stop:
                    break
    return batches


def check_once(train, *, workers: int, world: int, seed: int) -> None:
    steps = len(DocumentBatchSampler(COUNT, BATCH, seed=5, world=world))
    until = stops(EPOCHS * steps, seed)
    ranks = [trained(train, workers=workers, rank=r, world=world, until=until) for r in range(world)]
    for epoch in range(EPOCHS):
        seen = Counter(
            number
            for batches in ranks
            for batch in batches[epoch * steps : (epoch + 1) * steps]
            for number in numbers(SimpleNamespace(ids=batch[0]))
        )
        assert seen == Counter(range(COUNT)), (epoch, until)
    whole = trained(train, workers=0, rank=0, world=world, until=until[-1:])
    assert all(
        torch.equal(a, b)
        for x, y in zip(whole, ranks[0], strict=True)
        for a, b in zip(x[:4], y[:4], strict=True)
    )


@pytest.mark.parametrize(("workers", "world"), SMALL)
def test_once_an_epoch(workers, world):
    check_once(Numbered(COUNT), workers=workers, world=world, seed=workers + world)


def test_once_an_epoch_from_a_store(tmp_path):
    write_store(tmp_path, Numbered(COUNT), CODEC, progress=False, shard_size=7)
    check_once(str(tmp_path), workers=2, world=2, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("workers", "world"), FULL)
def test_once_an_epoch_wherever_it_stops(workers, world, seed):
    check_once(Numbered(COUNT), workers=workers, world=world, seed=seed)
