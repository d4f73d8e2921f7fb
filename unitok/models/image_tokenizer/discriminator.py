"""The PatchGAN discriminator and its losses. Knows no tokenizer."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class PatchDiscriminator(nn.Module):
    """A score per patch (PatchGAN, arXiv:1611.07004): convolutions that halve the sides, with group norms.

    Args:
        channels: channels of the first layer; each further layer doubles them, up to eight times.
        layers: number of halvings; a patch has 22, 46, 94 pixels per side with 1, 2, 3.
    """

    def __init__(self, channels: int = 64, layers: int = 2):
        super().__init__()
        widths = [channels * min(2**i, 8) for i in range(layers + 1)]
        modules: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for i, (width, out) in enumerate(pairwise(widths)):
            stride = 2 if i < layers - 1 else 1
            modules += [
                nn.Conv2d(width, out, 4, stride=stride, padding=1),
                nn.GroupNorm(8, out),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*modules, nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 u v"]:
        return self.layers(images)


def hinge(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """The discriminator's hinge loss: scores beyond ±1 have no loss (arXiv:1705.02894)."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def accuracy(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Share of the patches that are classified correctly."""
    return 0.5 * ((real > 0).float().mean() + (fake < 0).float().mean())


def gradient_penalty(scores: Float[Tensor, "..."], images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
    """R1: ½ ‖∇D(x)‖² on real images (arXiv:1801.04406), which must require a gradient."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return 0.5 * gradient.square().sum(dim=(1, 2, 3)).mean()


@dataclass
class LeCAM:
    """Keeps scores near the running mean of the other side, for small data sets (arXiv:2104.03310, eq. 6)."""

    real: Tensor
    fake: Tensor
    decay: float = 0.999

    def __call__(self, real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
        """Returns the penalty, and updates the running means."""
        self.real.lerp_(real.detach().mean().float(), 1 - self.decay)
        self.fake.lerp_(fake.detach().mean().float(), 1 - self.decay)
        return F.relu(real - self.fake).square().mean() + F.relu(self.real - fake).square().mean()


def adaptive_weight(
    pixels: Float[Tensor, ""], adversarial: Float[Tensor, ""], last: Tensor, *, maximum: float = 1e4
) -> Float[Tensor, ""]:
    """The weight that gives both losses equal gradient norms at the decoder's last layer.

    λ = ‖∇ pixels‖ / (‖∇ adversarial‖ + 1e-4), at most `maximum` (VQGAN, arXiv:2012.09841, eq. 7).
    """
    (of_pixels,) = torch.autograd.grad(pixels, last, retain_graph=True)
    (of_adversary,) = torch.autograd.grad(adversarial, last, retain_graph=True)
    return (of_pixels.norm() / (of_adversary.norm() + 1e-4)).clamp(0, maximum).detach()
