"""Muon's step equals torch's, all other weights get AdamW's, in one optimizer."""

import copy

import pytest
import torch
from torch import nn

from tests.models.test_cross_entropy import tiny_transformer
from unitok.models.transformer_config import BlockVariant
from unitok.training.optimizers import (
    NEWTON_SCHULZ,
    MuonAdamW,
    OptimizerConfig,
    build_optimizer,
    orthogonalize,
)

SETTINGS = {"lr": 1e-3, "muon_lr": 2e-2, "weight_decay": 0.1, "betas": (0.9, 0.95)}


def oracle(model):
    matrices = [w for w in model.blocks.parameters() if w.ndim == 2]
    others = [w for w in model.parameters() if all(w is not m for m in matrices)]
    muon = torch.optim.Muon(matrices, lr=2e-2, weight_decay=0.1, momentum=0.95)
    return [muon, torch.optim.AdamW(others, lr=1e-3, weight_decay=0.0, betas=(0.9, 0.95))]


def give_gradients(model, seed):
    torch.manual_seed(seed)
    for weight in model.parameters():
        weight.grad = torch.randn_like(weight)


def differ(a, b) -> float:
    return max((x - y).abs().max().item() for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.fixture
def in_float32(monkeypatch):
    """Muon's iteration without the rounding of bfloat16, torch's too."""
    monkeypatch.setattr(torch, "bfloat16", torch.float32)


@pytest.mark.parametrize("qkv_bias", [False, True])
def test_steps_are_those_of_torch(in_float32, qkv_bias):
    ours = tiny_transformer(variant=BlockVariant(qkv_bias=qkv_bias))
    theirs = copy.deepcopy(ours)
    optimizer, parts = build_optimizer(ours, OptimizerConfig("muon", **SETTINGS)), oracle(theirs)
    for seed in range(4):
        for model in (ours, theirs):
            give_gradients(model, seed)
        optimizer.step()
        for part in parts:
            part.step()
    assert differ(ours, theirs) <= 1e-4


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_a_saved_state_goes_on_alike(name, tmp_path):
    model = tiny_transformer()
    optimizer = build_optimizer(model, OptimizerConfig(name, **SETTINGS))
    for seed in range(2):
        give_gradients(model, seed)
        optimizer.step()
    torch.save(optimizer.state_dict(), tmp_path / "state")
    again = copy.deepcopy(model)
    resumed = build_optimizer(again, OptimizerConfig(name, **SETTINGS))
    resumed.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for which, how in ((model, optimizer), (again, resumed)):
        give_gradients(which, 7)
        how.step()
    assert differ(model, again) == 0


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_a_weight_without_gradient_stays_and_every_other_one_moves(name):
    model = tiny_transformer()
    before = copy.deepcopy(model)
    give_gradients(model, 0)
    model.blocks[0].attention.qkv.weight.grad = None
    build_optimizer(model, OptimizerConfig(name, **SETTINGS)).step()
    still = [
        n
        for (n, a), b in zip(model.named_parameters(), before.parameters(), strict=True)
        if torch.equal(a, b)
    ]
    assert still == ["blocks.0.attention.qkv.weight"]


@pytest.mark.parametrize("shape", [(24, 8), (8, 24), (16, 16)])
@pytest.mark.parametrize(("lacks", "dtype"), [(True, torch.float32), (False, torch.bfloat16)])
def test_an_orthogonalised_matrix_has_singular_values_near_one(shape, lacks, dtype, monkeypatch):
    monkeypatch.setattr("unitok.device.lacks_bfloat16", lambda device: lacks)
    found = orthogonalize(torch.randn(3, *shape), steps=5)
    values = torch.linalg.svdvals(found.float())
    assert found.dtype == dtype and values.max() < 1.3 and values.median() > 0.6


def iterated(matrices):
    """The iteration on the matrices themselves, as its authors write it."""
    a, b, c = NEWTON_SCHULZ
    x = matrices / matrices.flatten(1).norm(dim=1)[:, None, None]
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


@pytest.mark.parametrize("decay", [1, 3, 5])
@pytest.mark.parametrize("columns", [192, 384])
def test_steps_on_gram_matrices_are_as_exact_as_on_the_matrix(decay, columns, monkeypatch):
    rows = 64
    left, right = (torch.linalg.qr(torch.randn(3, n, rows)).Q for n in (rows, columns))
    matrices = left * torch.logspace(0, -decay, rows) @ right.mT  # singular values over decades
    exact = iterated(matrices.double())

    def error(found):
        return ((found - exact).norm() / exact.norm()).item()

    monkeypatch.setattr("unitok.device.lacks_bfloat16", lambda device: False)
    assert error(orthogonalize(matrices, steps=5)) < max(0.02, 1.2 * error(iterated(matrices.bfloat16())))
    monkeypatch.setattr("unitok.device.lacks_bfloat16", lambda device: True)
    assert error(orthogonalize(matrices.mT, steps=5).mT) < 1e-3


def test_closure_is_called_with_gradients_on():
    layer = nn.Module()
    layer.blocks = nn.ModuleList([nn.Linear(3, 3, bias=False)])
    optimizer = build_optimizer(layer, OptimizerConfig("muon", **SETTINGS))

    def closure():
        loss = layer.blocks[0].weight.square().sum()
        loss.backward()
        return loss

    before = layer.blocks[0].weight.square().sum().item()
    assert optimizer.step(closure).item() == pytest.approx(before)
    assert layer.blocks[0].weight.square().sum().item() != pytest.approx(before)


def test_a_checkpoint_read_into_main_memory_ends_on_the_weights_device():
    def optimizer(device):
        weights = [torch.nn.Parameter(torch.zeros(4, 4, device=device)) for _ in range(2)]
        return MuonAdamW(weights[:1], weights[1:], lr=0.1, muon_lr=0.1), weights

    before, weights = optimizer("cpu")
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    before.step()
    after, weights = optimizer("meta")
    after.load_state_dict(before.state_dict())
    places = {name: tensor.device.type for weight in weights for name, tensor in after.state[weight].items()}
    assert places == dict.fromkeys(["momentum", "step", "mean", "square"], "meta")
