"""The likelihood of pixels given a reconstruction, and PSNR. Knows no codes and no network."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def background_colour(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 1 1"]:
    """Estimate each image's background: the channel-wise median of its border pixels."""
    top, bottom, left, right = images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]
    return torch.cat((top, bottom, left, right), dim=-1).median(dim=-1).values[..., None, None]


class PixelLikelihood(nn.Module):
    """−log p(x | z_q) of pixels in [-1, 1] under a fixed scale, in nats, as a mean over elements.

    `normal` is a Gaussian of standard deviation `scale`, `laplace` a Laplace distribution of scale `scale`.
    With `foreground_weight` above 1, pixels off the background and those next to them count that much more;
    the weights' mean stays 1. Errors of a decoder on the background next to an object are visible as a halo.

    Args:
        kind: the distribution.
        scale: its fixed scale, in pixel values (the whole range is 2).
        foreground_weight: weight of pixels that differ from the background, or are near one that does.
        margin: pixels around the foreground that count as it does.
        background: colour of the background (red, green, blue; 0..255), or None to estimate it per image.
        tolerance: largest difference of a channel, in pixel values, that is still background.
    """

    def __init__(
        self,
        kind: Literal["normal", "laplace"] = "normal",
        scale: float = 1.0,
        foreground_weight: float = 1.0,
        margin: int = 2,
        background: tuple[int, int, int] | None = None,
        tolerance: float = 0.05,
    ):
        super().__init__()
        if kind not in ("normal", "laplace") or scale <= 0 or foreground_weight <= 0:
            raise ValueError(
                "kind must be normal or laplace, scale and foreground_weight must be positive, "
                f"got {kind!r}, {scale} and {foreground_weight}"
            )
        self.kind, self.scale, self.foreground_weight = kind, scale, foreground_weight
        self.margin, self.background, self.tolerance = margin, background, tolerance

    def forward(self, images: Float[Tensor, "b 3 h w"], means: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
        error = (means.float() - images) / self.scale
        if self.kind == "normal":
            nats = 0.5 * error.square() + math.log(self.scale * math.sqrt(2 * math.pi))
        else:
            nats = error.abs() + math.log(2 * self.scale)
        return nats.mean() if self.foreground_weight == 1 else (nats * self.weights(images)).mean()

    def weights(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
        """`foreground_weight` off the background and near it, 1 elsewhere, divided by their mean."""
        background = background_colour(images) if self.background is None else self._fixed_background(images)
        off = (images - background).abs().amax(dim=1, keepdim=True) > self.tolerance
        near = F.max_pool2d(off.to(images.dtype), 2 * self.margin + 1, stride=1, padding=self.margin) > 0
        weights = torch.where(near, self.foreground_weight, 1.0)
        return weights / weights.mean()

    def _fixed_background(self, images: Tensor) -> Float[Tensor, "1 3 1 1"]:
        return images.new_tensor(self.background).view(1, 3, 1, 1) / 127.5 - 1


def psnr(images: Float[Tensor, "b 3 h w"], reconstructions: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
    """Mean peak signal-to-noise ratio in dB, of images in [-1, 1]."""
    error = (reconstructions.float().clamp(-1, 1) - images).square().mean(dim=(1, 2, 3)) / 4
    return -10 * error.clamp(min=1e-10).log10().mean()
