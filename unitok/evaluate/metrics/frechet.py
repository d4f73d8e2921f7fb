"""Features and covariance for a Fréchet distance of images. Knows no tokenizer."""

from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.image.fid import FrechetInceptionDistance


class RandomFeatures(nn.Module):
    """A fixed, untrained convolutional network: a surrogate without Inception weights.

    Its distances rank blurred and noisy images, but are not FID and only comparable with each other.
    """

    num_features = 96

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        for level, (width, out) in enumerate(((3, 32), (32, 32), (32, 32))):
            weight = torch.randn(out, width, 3, 3, generator=generator) / (3 * width**0.5)
            self.register_buffer(f"weight{level}", weight, persistent=False)

    def forward(self, images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b f"]:
        """Means over the image of each level's features."""
        x, means = images.float() / 127.5 - 1, []
        for level in range(3):
            x = F.relu(F.conv2d(x, getattr(self, f"weight{level}"), padding=1))
            means.append(x.mean(dim=(2, 3)))
            x = F.avg_pool2d(x, 2) if min(x.shape[2:]) >= 2 else x
        return torch.cat(means, dim=1)


def frechet_distance(inception: str | None) -> tuple[str, FrechetInceptionDistance]:
    """Returns the metric's name and the metric: "fid" with Inception weights, else "frechet_random_features".

    Args:
        inception: file of torch-fidelity's Inception weights (pt_inception-2015-12-05-….pth), or None.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the package torch-fidelity (extra `eval`) is missing.
    """
    if inception is None:
        return "frechet_random_features", FrechetInceptionDistance(feature=RandomFeatures())
    if not Path(inception).is_file():
        raise FileNotFoundError(f"{inception}: not found (Inception weights)")
    try:
        return "fid", FrechetInceptionDistance(feature=2048, feature_extractor_weights_path=inception)
    except ModuleNotFoundError as error:
        raise ValueError(f"FID needs torch-fidelity: pip install 'unitok-lm[eval]' ({error})") from error
