"""The objective's further terms and the adversarial losses, against formulas and other people's code."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

from unitok.models.image_tokenizer.discriminator import (
    LeCAM,
    PatchDiscriminator,
    accuracy,
    adaptive_weight,
    gradient_penalty,
    hinge,
)
from unitok.models.image_tokenizer.loss_terms import LPIPS, SSIM, MultiScaleGradients


def random_images(*, side: int = 32) -> torch.Tensor:
    return torch.rand(2, 3, side, side) * 2 - 1


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_ssim_is_that_of_torchmetrics(noise):
    images = F.interpolate(random_images(side=8), size=40, mode="bilinear")
    again = images + noise * torch.randn_like(images)
    theirs = structural_similarity_index_measure(again, images, data_range=2.0)
    torch.testing.assert_close(1 - SSIM()(images, again), theirs, atol=1e-4, rtol=0)


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(ValueError, match=r"at least 6 pixels per side for SSIM, got \(5, 5\)"):
        SSIM()(random_images(side=5), random_images(side=5))


@pytest.mark.parametrize("term", [SSIM(), MultiScaleGradients(), MultiScaleGradients(scales=1)])
def test_terms_are_zero_for_the_image_and_grow_with_the_error(term):
    images, noise = random_images(), torch.randn(2, 3, 32, 32)
    assert term(images, images).abs() < 1e-5
    assert 0 < term(images, images + 0.05 * noise) < term(images, images + 0.2 * noise)


def test_gradients_do_not_see_an_even_shift_and_have_no_weights():
    term, images = MultiScaleGradients(), random_images()
    torch.testing.assert_close(term(images, images + 0.3), torch.zeros(()), atol=1e-6, rtol=0)
    assert not list(term.parameters())


# ---- LPIPS


def lpips_tensors() -> dict[str, torch.Tensor]:
    """Random weights by torchvision's and LPIPS' names."""
    torch.manual_seed(0)
    tensors, width = {}, 3
    for layers, out in zip(LPIPS.LAYERS, LPIPS.WIDTHS, strict=True):
        for layer in layers:
            tensors[f"features.{layer}.weight"] = torch.randn(out, width, 3, 3) * (2 / (9 * width)) ** 0.5
            tensors[f"features.{layer}.bias"] = torch.randn(out) * 0.1
            width = out
    for level, out in enumerate(LPIPS.WIDTHS):
        tensors[f"lin{level}.model.1.weight"] = torch.rand(1, out, 1, 1)
    return tensors


def test_lpips_follows_vgg_and_the_paper(tmp_path):
    from torchvision.models import vgg16

    tensors = lpips_tensors()
    torch.save(tensors, tmp_path / "lpips.pth")
    vgg = vgg16(weights=None).features.eval()
    vgg.load_state_dict(
        {name.removeprefix("features."): t for name, t in tensors.items() if "features" in name}
    )
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    images, again, expected = random_images(), random_images(), 0.0
    x, y = ((part - shift[:, None, None]) / scale[:, None, None] for part in (images, again))
    taps = {3: 0, 8: 1, 15: 2, 22: 3, 29: 4}  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3
    with torch.no_grad():
        for number, layer in enumerate(vgg):
            x, y = layer(x), layer(y)
            if number in taps:
                difference = (F.normalize(x, dim=1) - F.normalize(y, dim=1)).square()
                linear = tensors[f"lin{taps[number]}.model.1.weight"]
                expected += F.conv2d(difference, linear).mean()
        ours = LPIPS([str(tmp_path / "lpips.pth")])(images, again)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


def test_lpips_reads_its_own_packages_names_and_two_files(tmp_path):
    tensors = lpips_tensors()
    torch.save(tensors, tmp_path / "one.pth")
    slices = {layer: number + 1 for number, layers in enumerate(LPIPS.LAYERS) for layer in layers}
    theirs = {}
    for name, tensor in tensors.items():
        parts = name.split(".")
        theirs[
            f"net.slice{slices[int(parts[1])]}.{parts[1]}.{parts[2]}" if parts[0] == "features" else name
        ] = tensor
    torch.save({n: t for n, t in theirs.items() if n.startswith("net")}, tmp_path / "net.pth")
    torch.save({n: t for n, t in theirs.items() if n.startswith("lin")}, tmp_path / "lin.pth")
    images, again = random_images(), random_images()
    one = LPIPS([str(tmp_path / "one.pth")])(images, again)
    two = LPIPS([str(tmp_path / "net.pth"), str(tmp_path / "lin.pth")])(images, again)
    assert torch.equal(one, two)


def test_lpips_names_what_its_weights_lack(tmp_path):
    tensors = lpips_tensors()
    del tensors["lin3.model.1.weight"]
    torch.save(tensors, tmp_path / "part.pth")
    with pytest.raises(ValueError, match=r"part\.pth: tensor lin3 must be \(1, 512, 1, 1\), got absent"):
        LPIPS([str(tmp_path / "part.pth")])


# ---- the adversary


def test_hinge_loss_and_accuracy():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 0.5])
    assert hinge(real, fake).item() == pytest.approx(0.5 * ((0 + 0.5 + 2) / 3 + (0 + 1 + 1.5) / 3))
    assert accuracy(real, fake).item() == pytest.approx(0.5 * (2 / 3 + 1 / 3))


def test_the_gradient_penalty_is_half_the_squared_slope():
    images = random_images(side=4).requires_grad_()
    slope = torch.randn(3, 4, 4)
    scores = (images * slope).sum(dim=(1, 2, 3))
    assert gradient_penalty(scores, images).item() == pytest.approx(
        0.5 * slope.square().sum().item(), rel=1e-5
    )


def test_lecam_compares_with_the_running_mean_of_the_other_side():
    lecam = LeCAM(torch.zeros(()), torch.zeros(()), decay=0.5)
    penalty = lecam(torch.full((4,), 2.0), torch.full((4,), -4.0))
    assert lecam.real.item() == 1 and lecam.fake.item() == -2
    assert penalty.item() == pytest.approx((2 - -2) ** 2 + (1 - -4) ** 2)


def test_the_adaptive_weight_brings_both_gradients_to_one_size():
    last = nn.Parameter(torch.randn(5))
    pixels, adversarial = (3 * last).sum(), (0.01 * last.square()).sum()
    weight = adaptive_weight(pixels, adversarial, last)
    (weight * adversarial).backward()
    assert last.grad.norm().item() == pytest.approx(3 * 5**0.5, rel=1e-2)
    assert not weight.requires_grad


def test_a_discriminator_scores_patches_and_learns_to_tell():
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(16)
    assert discriminator(random_images()).shape == (2, 1, 6, 6)
    optimizer = torch.optim.AdamW(discriminator.parameters(), lr=1e-3)
    for _ in range(60):
        real = random_images()
        fake = F.avg_pool2d(F.pad(random_images(), (1, 1, 1, 1)), 3, stride=1)
        a, b = discriminator(real), discriminator(fake)
        optimizer.zero_grad()
        hinge(a, b).backward()
        optimizer.step()
    assert accuracy(a, b) > 0.9
