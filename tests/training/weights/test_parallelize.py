"""Rows of sharded weights without a second process: the ranks are simulated one after the other."""

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.training.tokenizer import TokenizerTraining
from unitok.training.weights.parallelize import zero_rows


@pytest.fixture
def play():
    """Makes this process one of several, which share nothing but what it says."""

    def begin(rank: int, world: int):
        dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=world)
        return init_device_mesh("cpu", (world,))

    yield begin
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.mark.parametrize("world", [1, 2, 3, 4, 8])
def test_rows_become_zero_wherever_they_lie(play, world):
    whole = torch.arange(1.0, 23.0).view(11, 2)
    expected = whole.clone()
    expected[0:3] = expected[7:9] = 0
    parts, shares = [], whole.chunk(world)
    for rank in range(world):
        mesh = play(rank, world)
        own = shares[rank].clone() if rank < len(shares) else whole[:0].clone()
        dealt = DTensor.from_local(own, mesh, [Shard(0)], shape=whole.shape, stride=whole.stride())
        zero_rows(dealt, [range(0, 3), range(7, 9)])
        parts.append(own)
        dist.destroy_process_group()
    assert torch.equal(torch.cat(parts), expected)
    zero_rows(whole, [range(0, 3), range(7, 9)])
    assert torch.equal(whole, expected)


def test_a_tokenizer_is_not_dealt_out(play):
    module = TokenizerTraining(Patch(channels=16), EMACodebook(32))
    module._device_mesh = play(0, 2)
    with pytest.raises(ValueError, match=r"trainer\.strategy=ddp"):
        module.configure_model()
