"""The pixels' likelihood against torch's distributions, weights off the ground, the whole objective."""

import pytest
import torch
from torch.distributions import Laplace, Normal
from torch.nn import functional as F

from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.pixel_loss import PixelLikelihood, background_colour, psnr
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook, LearnedCodebook

EXACT = {"atol": 1e-6, "rtol": 1e-6}


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape) * 2 - 1


@pytest.mark.parametrize(("kind", "family"), [("normal", Normal), ("laplace", Laplace)])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_the_likelihood_and_its_gradient_are_the_distributions(kind, family, scale):
    truth, means = images(2, 3, 8, 8), images(2, 3, 8, 8).requires_grad_()
    again = means.detach().clone().requires_grad_()
    ours = PixelLikelihood(kind, scale=scale)(truth, means)
    theirs = -family(again, scale).log_prob(truth).mean()
    ours.backward(), theirs.backward()
    torch.testing.assert_close(ours, theirs, **EXACT)
    torch.testing.assert_close(means.grad, again.grad, **EXACT)


@pytest.mark.parametrize("kind", [LearnedCodebook, EMACodebook])
def test_the_three_terms_of_the_objective_and_their_gradients(kind):
    """-log p(x|z_q), ‖sg[z_e] - z_q‖² and β‖z_e - sg[z_q]‖² (arXiv:1711.00937, eq. 3), by plain torch."""
    torch.manual_seed(0)
    sizes = Patch(factor=4, channels=8, encoder_depth=1, decoder_depth=1)
    tokenizer = ImageTokenizer(ImageTokenizerConfig(sizes, kind(16, 4, beta=0.7, revive_below=0.0))).train()
    x = images(3, 3, 16, 16)
    tokenizer.encode(x)  # places the codes by k-means
    book = tokenizer.quantizer.codebook.detach().clone().requires_grad_()
    z_e = tokenizer.latents(x)
    out = tokenizer.quantizer(z_e)
    ours = PixelLikelihood(scale=0.5)(x, tokenizer.render(out.latents)) + out.loss
    names, weights = zip(*tokenizer.encoder.named_parameters(), strict=True)
    slopes = torch.autograd.grad(ours, weights, retain_graph=True)
    learned = (
        torch.autograd.grad(ours, tokenizer.quantizer.vq._codebook.embed)[0]
        if kind is LearnedCodebook
        else None
    )

    z_e = tokenizer.latents(x)
    distances = (z_e.permute(0, 2, 3, 1).unsqueeze(-2) - book).square().sum(-1)
    z_q = F.embedding(distances.argmin(-1), book).permute(0, 3, 1, 2)
    through = z_e + (z_q - z_e).detach()
    pixels = -Normal(tokenizer.decoder(through), 0.5).log_prob(x).mean()
    codebook, commitment = (z_e.detach() - z_q).square().mean(), 0.7 * (z_e - z_q.detach()).square().mean()
    theirs = pixels + codebook + commitment
    torch.testing.assert_close(out.loss, codebook + commitment, **EXACT)
    torch.testing.assert_close(ours, theirs, **EXACT)
    expected = torch.autograd.grad(theirs, [*weights, book])
    for name, slope, wanted in zip(names, slopes, expected, strict=False):
        torch.testing.assert_close(slope, wanted, **EXACT, msg=name)
    if learned is not None:
        torch.testing.assert_close(learned.reshape(book.shape), expected[-1], **EXACT)


def test_pixels_off_the_ground_count_more_and_the_mean_weight_is_one():
    image = torch.full((1, 3, 8, 8), 0.9)
    image[..., 2:4, 2:4] = -0.5
    likelihood = PixelLikelihood(foreground_weight=9.0, margin=1)
    weights = likelihood.weights(image)
    assert ((weights / weights.min())[0, 0].round() == 9).nonzero().tolist() == [
        [row, column] for row in range(1, 5) for column in range(1, 5)
    ]
    assert weights.mean().item() == pytest.approx(1)
    assert (weights[0, 0, 2, 2] / weights[0, 0, 0, 0]).item() == pytest.approx(9)
    spoilt_object, spoilt_ground = image.clone(), image.clone()
    spoilt_object[..., 2, 2] += 0.3
    spoilt_ground[..., 7, 7] += 0.3
    even = likelihood(image, image)
    assert (likelihood(image, spoilt_object) - even) == pytest.approx(
        9 * (likelihood(image, spoilt_ground) - even).item(), rel=1e-3
    )


def test_the_ground_is_the_median_of_the_border():
    image = torch.full((1, 3, 6, 6), 0.25)
    image[..., 1:5, 1:5] = -1
    image[..., 0, :2] = 1
    assert background_colour(image).flatten().tolist() == [0.25] * 3


def test_psnr_is_the_mean_over_images_in_decibels():
    truth = torch.zeros(2, 3, 4, 4)
    again = torch.stack([torch.full((3, 4, 4), 0.2), torch.full((3, 4, 4), 0.02)])
    assert psnr(truth, again).item() == pytest.approx((20 + 40) / 2, abs=1e-3)  # the range is 2


@pytest.mark.parametrize("wrong", [{"kind": "cauchy"}, {"scale": 0.0}, {"foreground_weight": -1.0}])
def test_what_makes_no_likelihood_is_refused(wrong):
    with pytest.raises((ValueError, TypeError)):
        PixelLikelihood(**wrong)
