"""Weights on huge pages are the same parameters with the same values."""

import copy
import mmap

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from unitok.models.cpu import huge_pages
from unitok.models.cpu.huge_pages import HUGE_PAGE, to_huge_pages

needs_pages = pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="this system has no huge pages")


def layers() -> nn.Sequential:
    """Of two dtypes, with a bias of an odd size and a weight that two of them share."""
    model = nn.Sequential(nn.Linear(700, 801), nn.Linear(801, 3).bfloat16(), nn.Linear(700, 801, bias=False))
    model[2].weight = model[0].weight
    return model


def places(model: nn.Module) -> list[int]:
    return [weight.data_ptr() for weight in model.parameters()]


@needs_pages
def test_weights_move_and_stay_the_same_parameters_of_the_same_values():
    model = layers()
    before, old, was = list(model.parameters()), copy.deepcopy(model), places(model)
    to_huge_pages(model)
    assert all(a is b for a, b in zip(before, model.parameters(), strict=True))
    assert not set(was) & set(places(model))
    assert min(places(model)) % HUGE_PAGE == 0 and all(
        place % huge_pages.CACHE_LINE == 0 for place in places(model)
    )
    assert model[2].weight is model[0].weight
    for moved, kept in zip(model.parameters(), old.parameters(), strict=True):
        assert torch.equal(moved, kept) and moved.requires_grad


@needs_pages
def test_weights_that_moved_stay_until_they_are_replaced():
    model = layers()
    to_huge_pages(model)
    once = places(model)
    to_huge_pages(model)
    assert places(model) == once
    model[1].weight.data = model[1].weight.detach().clone()
    to_huge_pages(model)
    assert not set(places(model)) & set(once)


@needs_pages
def test_weights_that_moved_are_trained_and_saved_as_any(tmp_path):
    model = layers()
    to_huge_pages(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = model[0].weight.detach().clone()
    model[0](torch.ones(2, 700)).sum().backward()
    optimizer.step()
    assert not torch.equal(before, model[0].weight)
    tensors = {"a": model[0].weight.detach(), "b": model[1].weight.detach()}
    save_file(tensors, tmp_path / "weights.safetensors")
    torch.save(tensors["b"], tmp_path / "b.pt")
    assert (tmp_path / "b.pt").stat().st_size < 2 * HUGE_PAGE // 100  # not the whole region
    for name, tensor in load_file(tmp_path / "weights.safetensors").items():
        assert torch.equal(tensor, tensors[name])


def test_without_huge_pages_and_for_small_models_nothing_moves(monkeypatch):
    small, large = nn.Linear(10, 10), layers()
    was = places(small), places(large)
    monkeypatch.setattr(huge_pages, "_allocate", lambda size: None)
    to_huge_pages(large)
    monkeypatch.undo()
    to_huge_pages(small)
    assert (places(small), places(large)) == was


@pytest.mark.parametrize("lack", [AttributeError("MADV_HUGEPAGE"), OSError(22, "Invalid argument")])
def test_a_system_without_huge_pages_is_noticed(monkeypatch, lack):
    class Refuses:
        def __init__(self, *args, **kwargs): ...

        def madvise(self, advice):
            raise lack

    monkeypatch.setattr(huge_pages.mmap, "mmap", Refuses)
    assert huge_pages._allocate(HUGE_PAGE) is None


@torch.inference_mode()
def test_weights_of_inference_mode_stay():
    model = layers()
    was = places(model)
    to_huge_pages(model)
    assert places(model) == was
