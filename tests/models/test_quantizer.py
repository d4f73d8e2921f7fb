"""The quantizer against its formula, its fast lookup against brute force, and what it refuses."""

import pytest
import torch
from torch.nn import functional as F

from unitok.models.quantizer import Quantizer, nearest

SHAPE = (3, 8, 5, 4)  # batch, channels, rows, columns


def started(**options) -> Quantizer:
    """A quantizer whose codebook has seen its k-means start, in training mode."""
    quantizer = Quantizer(8, 16, **options).train()
    quantizer(torch.randn(SHAPE))
    return quantizer


def brute_force(z_e, codebook):
    distances = (z_e.permute(0, 2, 3, 1).unsqueeze(-2).double() - codebook.double()).square().sum(-1)
    return distances.argmin(-1)


@pytest.mark.parametrize(("cosine", "learnable"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize("beta", [0.25, 1.5])
def test_loss_and_gradients_follow_the_formula(beta, learnable, cosine):
    quantizer = started(beta=beta, learnable=learnable, cosine=cosine)
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
    if learnable:
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


@pytest.mark.parametrize("rows", [1, 7, 8192])
@pytest.mark.parametrize("size", [1, 2, 300])
def test_the_fast_lookup_finds_what_brute_force_finds(rows, size):
    vectors, codebook = torch.randn(50, 8) * 3, torch.randn(size, 8) * 2
    exact = (vectors[:, None].double() - codebook.double()).square().sum(-1).argmin(1)
    assert torch.equal(nearest(vectors, codebook, rows=rows), exact)


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
    with pytest.raises(ValueError, match=rf"{bad}.*expected 0..15"):
        Quantizer(8, 16).lookup(codes)


def test_a_kind_of_codebook_that_the_library_lacks_is_refused():
    with pytest.raises(ValueError, match="either cosine or learnable"):
        Quantizer(8, 16, cosine=True, learnable=True)
