"""The quantizer against its formula, its fast lookup against brute force, and what it refuses."""

import copy

import pytest
import torch
from torch.nn import functional as F

from unitok.models.image_tokenizer.lookup_free import FSQLevels, LFQSigns
from unitok.models.image_tokenizer.quantizer import Quantizer, QuantizerConfig, nearest
from unitok.models.image_tokenizer.vector_quantizers import (
    EMACodebook,
    JanusCodebook,
    LearnedCodebook,
    ResidualCodebooks,
    SimVQCodebook,
)
from unitok.models.kinds import kinds

SHAPE = (3, 8, 5, 4)  # batch, channels, rows, columns


def started(kind=EMACodebook, **options) -> Quantizer:
    """A quantizer of 16 codes whose codebook has seen its k-means start, in training mode."""
    quantizer = kind(16, 8, **({"revive_below": 0.0} | options)).build().train()
    quantizer(torch.randn(SHAPE))
    return quantizer


def brute_force(z_e, codebook):
    distances = (z_e.permute(0, 2, 3, 1).unsqueeze(-2).double() - codebook.double()).square().sum(-1)
    return distances.argmin(-1)


TRAINED = {
    "ema": (EMACodebook, {}),
    "cosine": (EMACodebook, {"cosine": True}),
    "learned": (LearnedCodebook, {}),
}


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("beta", [0.25, 1.5])
def test_loss_and_gradients_follow_the_formula(beta, name):
    kind, options = TRAINED[name]
    quantizer, cosine = started(kind, beta=beta, **options), name == "cosine"
    before = quantizer.codebook.detach().clone()
    z = torch.randn(SHAPE, requires_grad=True)
    target = torch.randn(SHAPE)
    out = quantizer(z)
    ((out.latents - target).square().sum() + out.loss).backward()

    ours, codebook = z.detach().clone().requires_grad_(), before.clone().requires_grad_()
    z_e = F.normalize(ours, dim=1) if cosine else ours
    codes = brute_force(z_e, before)
    z_q = codebook[codes].permute(0, 3, 1, 2)
    loss = (z_e.detach() - z_q).square().mean() + beta * (z_e - z_q.detach()).square().mean()
    straight = z_e + (z_q - z_e).detach()
    ((straight - target).square().sum() + loss).backward()

    assert torch.equal(out.codes, codes)
    torch.testing.assert_close(out.latents, straight, atol=1e-5, rtol=0)
    torch.testing.assert_close(out.loss, loss, atol=1e-6, rtol=0)
    torch.testing.assert_close(z.grad, ours.grad, atol=1e-5, rtol=0)
    if name == "learned":
        learned = quantizer.vq._codebook.embed.grad[0]
        torch.testing.assert_close(learned, codebook.grad, atol=1e-6, rtol=0)
    else:
        assert not list(quantizer.parameters())


def test_moving_averages_follow_the_paper():
    quantizer = started(decay=0.9)
    book = quantizer.vq._codebook
    count, total = book.cluster_size[0].clone(), book.embed_avg[0].clone()
    z = torch.randn(SHAPE)
    codes = quantizer(z).codes.flatten()
    hot = F.one_hot(codes, 16).float()
    vectors = z.permute(0, 2, 3, 1).reshape(-1, 8)
    count = 0.9 * count + 0.1 * hot.sum(0)
    total = 0.9 * total + 0.1 * hot.t() @ vectors
    torch.testing.assert_close(quantizer.codebook, total / count[:, None], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("scores", [1, 2100, 2**22])
@pytest.mark.parametrize("size", [1, 2, 300])
def test_the_fast_lookup_finds_what_brute_force_finds(scores, size):
    vectors, codebook = torch.randn(50, 8) * 3, torch.randn(size, 8) * 2
    exact = (vectors[:, None].double() - codebook.double()).square().sum(-1).argmin(1)
    assert torch.equal(nearest(vectors, codebook, scores=scores), exact)


def test_the_fast_lookup_stays_in_fp32_under_autocast():
    vectors, codebook = torch.randn(500, 8), torch.randn(300, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nearest(vectors, codebook), nearest(vectors.clone(), codebook))
        codes = nearest(vectors, codebook)
    assert torch.equal(codes, nearest(vectors, codebook))


def test_training_and_use_choose_the_same_codes():
    quantizer = started()
    z = torch.randn(SHAPE)
    used = quantizer.eval()(z)
    assert torch.equal(quantizer.train()(z).codes, used.codes)


def test_the_codebook_does_not_change_in_use():
    quantizer = started(revive_below=5.0).eval()
    before = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    for _ in range(3):
        quantizer(torch.randn(SHAPE))
    assert all(torch.equal(tensor, before[name]) for name, tensor in quantizer.state_dict().items())


def test_rare_codes_restart_until_told_to_settle():
    quantizer = started(revive_below=0.5, decay=0.5)
    quantizer.vq._codebook.embed[0, 3] = 100.0
    quantizer.vq._codebook.cluster_size[0, 3] = 0.1
    quantizer.vq._codebook.embed_avg[0, 3] = 10.0
    far = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    quantizer(torch.randn(SHAPE))
    assert quantizer.codebook[3].abs().max() < 10
    quantizer.load_state_dict(far)
    quantizer.stop_reviving()
    quantizer(torch.randn(SHAPE))
    assert quantizer.codebook[3].abs().min() > 10


@pytest.mark.parametrize("bad", [-1, 16, 10**12])
def test_codes_outside_the_codebook_are_refused_with_the_numbers(bad):
    codes = torch.zeros(1, 2, 2, dtype=torch.long)
    codes[0, 1, 1] = bad
    with pytest.raises(ValueError, match=rf"in 0\.\.15, got .*{bad}"):
        EMACodebook(16, 8).build().lookup(codes)


ALL = {
    "ema": EMACodebook(16, 8),
    "cosine": EMACodebook(16, 8, cosine=True),
    "learned": LearnedCodebook(16, 8),
    "simvq": SimVQCodebook(16, 8),
    "fsq": FSQLevels((4, 3, 5)),
    "lfq": LFQSigns(5),
    "residual": ResidualCodebooks(EMACodebook(16, 8), depth=3),
}


def test_all_kinds_are_tested():
    ours = {kind for kind in kinds(QuantizerConfig).values() if kind.__module__.startswith("unitok.")}
    quantizers = {kind for kind in ours if issubclass(kind, QuantizerConfig)}
    assert {type(config) for config in ALL.values()} == quantizers - {JanusCodebook}  # trained elsewhere


@pytest.fixture(params=ALL)
def any_kind(request):
    """A quantizer of each kind that has been trained on a batch."""
    quantizer = ALL[request.param].build().train()
    quantizer(torch.randn(3, quantizer.dim, 5, 4))
    return quantizer


@pytest.mark.parametrize("training", [True, False])
def test_every_kind_gives_codes_that_look_up_what_it_gives(any_kind, training):
    quantizer, latents = any_kind.train(training), torch.randn(2, any_kind.dim, 3, 4)
    before = copy.deepcopy(quantizer)
    out = quantizer(latents)
    assert out.codes.shape == (2, 3, 4 * quantizer.depth) and out.codes.dtype == torch.long
    assert out.latents.shape == latents.shape and out.loss.shape == () and out.loss.isfinite()
    assert out.codes.min() >= 0 and out.codes.max() < quantizer.size
    torch.testing.assert_close(before.lookup(out.codes), out.latents, atol=1e-5, rtol=0)


def test_every_kind_chooses_the_nearest_vector_to_where_it_places_latents(any_kind):
    quantizer = any_kind.eval()
    if quantizer.depth > 1:
        pytest.skip("each depth has its own vectors")
    z = torch.randn(2, quantizer.dim, 5, 4)
    book = quantizer.vectors(torch.arange(quantizer.size)[:, None, None]).flatten(1)
    codes = brute_force(quantizer.to_code_space(z), book)
    assert torch.equal(quantizer(z).codes, codes)


def test_every_kind_passes_the_gradient_straight_through(any_kind):
    latents = torch.randn(2, any_kind.dim, 3, 4, requires_grad=True)
    any_kind(latents).latents.sum().backward()
    assert latents.grad.isfinite().all() and latents.grad.abs().sum() > 0


def test_every_kind_stays_as_it_is_in_use(any_kind):
    quantizer = any_kind.eval()
    before = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    latents = torch.randn(2, quantizer.dim, 3, 4)
    first = quantizer(latents).codes
    assert torch.equal(quantizer(latents).codes, first)
    assert all(torch.equal(tensor, before[name]) for name, tensor in quantizer.state_dict().items())


def test_every_kind_works_in_fp32_under_autocast(any_kind):
    latents = torch.randn(2, any_kind.dim, 6, 6)
    plain = any_kind.eval()(latents)
    with torch.autocast("cpu", torch.bfloat16):
        again = any_kind(latents)
    assert torch.equal(plain.codes, again.codes) and torch.equal(plain.latents, again.latents)


def test_every_kind_refuses_codes_outside_its_range(any_kind):
    codes = torch.full((1, 2, 2 * any_kind.depth), any_kind.size)
    with pytest.raises(ValueError, match=rf"in 0\.\.{any_kind.size - 1}"):
        any_kind.lookup(codes)


def test_simvq_moves_all_codes_by_the_gradient_of_one():
    quantizer = SimVQCodebook(16, 8).build()
    before = quantizer.codebook.detach().clone()
    quantizer(torch.randn(1, 8, 1, 1)).loss.backward()
    with torch.no_grad():
        quantizer.vq.code_transform.weight -= quantizer.vq.code_transform.weight.grad
    assert (quantizer.codebook != before).any(dim=1).all()


def test_each_depth_of_a_residual_quantizer_leaves_less():
    quantizer = ALL["residual"].build().train()
    latents = torch.randn(4, 8, 6, 6)
    for _ in range(20):
        quantizer(latents)
    left, errors = latents, []
    for part in quantizer.eval().quantizers:
        left = left - part(left).latents
        errors.append(left.square().mean().item())
    assert errors[0] > errors[1] > errors[2]
    assert torch.equal(quantizer(latents).codes[0, 0] // 16, torch.arange(3).repeat(6))


def test_codes_of_the_wrong_depth_are_refused():
    quantizer = ALL["residual"].build()
    with pytest.raises(ValueError, match=r"in 0\.\.15, got -16\.\.-16"):
        quantizer.lookup(torch.tensor([[[0, 0, 32]]]))


@pytest.mark.parametrize("levels", [(), (2, 5)])
def test_fsq_refuses_levels_that_it_cannot_round_to(levels):
    with pytest.raises(ValueError, match="levels must be at least 3"):
        FSQLevels(levels)


def test_codes_are_chosen_in_float32_whatever_a_training_allows(monkeypatch):
    seen, addmm = [], torch.addmm

    def spied(*tensors):
        seen.append(torch.get_float32_matmul_precision())
        return addmm(*tensors)

    monkeypatch.setattr(torch, "addmm", spied)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        nearest(torch.randn(5, 3), torch.randn(7, 3))
        assert (seen, torch.get_float32_matmul_precision()) == (["highest"], "high")
    finally:
        torch.set_float32_matmul_precision(before)
