"""Further terms of a tokenizer's objective: LPIPS and multi-scale gradients. Knows no tokenizer."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Term(nn.Module, ABC):
    """A scalar loss, 0 where the reconstruction equals the image; both are in [-1, 1].

    Args:
        weight: weight of the term in the objective.
    """

    name: str
    """Logged as loss/NAME."""

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    @abstractmethod
    def forward(
        self, images: Float[Tensor, "b 3 h w"], reconstructions: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, ""]:
        """The term without its weight."""


class SSIM(Term):
    """1 − structural similarity (Wang et al. 2004), by a Gaussian window of 11 pixels, borders mirrored."""

    name = "ssim"
    WINDOW = 11
    MIN_SIDE = 6  # pixels of the smallest image whose borders can be mirrored

    def __init__(self, weight: float = 1.0, sigma: float = 1.5):
        super().__init__(weight)
        distance = torch.arange(self.WINDOW) - (self.WINDOW - 1) / 2
        gaussian = torch.exp(-distance.square() / (2 * sigma**2))
        window = torch.outer(gaussian, gaussian) / gaussian.sum().square()
        self.register_buffer("window", window.expand(3, 1, -1, -1).clone(), persistent=False)

    def forward(
        self, images: Float[Tensor, "b 3 h w"], reconstructions: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, ""]:
        if min(images.shape[2:]) < self.MIN_SIDE:
            raise ValueError(
                f"images must have at least {self.MIN_SIDE} pixels per side for SSIM, "
                f"got {tuple(images.shape[2:])}"
            )
        with torch.autocast(images.device.type, enabled=False):  # variances are small differences
            return 1 - self._similarity(images.float(), reconstructions.float())

    def _similarity(self, images: Tensor, reconstructions: Tensor) -> Float[Tensor, ""]:
        a, b = (F.pad(part, [self.WINDOW // 2] * 4, mode="reflect") for part in (images, reconstructions))
        mean_a, mean_b = self._local(a), self._local(b)
        var_a, var_b = self._local(a * a) - mean_a**2, self._local(b * b) - mean_b**2
        both = self._local(a * b) - mean_a * mean_b
        c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # the pixels' range is 2
        light = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        return (light * (2 * both + c2) / (var_a + var_b + c2)).mean()

    def _local(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 u v"]:
        return F.conv2d(x, self.window, groups=3)


class MultiScaleGradients(Term):
    """|∇x − ∇y| at several scales, so that edges count at each; it is not a perceptual loss.

    Args:
        weight: weight of the term in the objective.
        scales: number of sizes that are compared, each half the previous one.
    """

    name = "gradients"

    def __init__(self, weight: float = 1.0, scales: int = 3):
        super().__init__(weight)
        self.scales = scales

    def forward(
        self, images: Float[Tensor, "b 3 h w"], reconstructions: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, ""]:
        difference, total = reconstructions.float() - images.float(), images.new_zeros(())
        for scale in range(self.scales):
            total = total + difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
            if scale + 1 < self.scales and min(difference.shape[2:]) >= 4:
                difference = F.avg_pool2d(difference, 2)
        return total / self.scales


class LPIPS(Term):
    """Learned perceptual similarity by VGG16 (Zhang et al., arXiv:1801.03924), with weights from files.

    Args:
        files: .pth or .safetensors with VGG16's `features.N` (torchvision) and LPIPS' `linK.model.1.weight`,
            in one file (a saved `lpips.LPIPS(net="vgg")`) or in two.
        weight: weight of the term in the objective.
    """

    name = "lpips"
    LAYERS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
    WIDTHS = (64, 128, 256, 512, 512)

    def __init__(self, files: Sequence[str], weight: float = 1.0):
        super().__init__(weight)
        tensors = self._read(files)
        self.convolutions = nn.ModuleList()
        width = 3
        for layers, out in zip(self.LAYERS, self.WIDTHS, strict=True):
            level = nn.ModuleList()
            for layer in layers:
                level.append(self._convolution(tensors, layer, width, out))
                width = out
            self.convolutions.append(level)
        for level, out in enumerate(self.WIDTHS):
            self.register_buffer(
                f"lin{level}", self._take(tensors, f"lin{level}", (1, out, 1, 1)), persistent=False
            )
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(
        self, images: Float[Tensor, "b 3 h w"], reconstructions: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, ""]:
        total = images.new_zeros(())
        x, y = ((part.float() - self.shift) / self.scale for part in (images, reconstructions))
        for level, convolutions in enumerate(self.convolutions):
            if level:
                x, y = F.max_pool2d(x, 2), F.max_pool2d(y, 2)
            for convolution in convolutions:
                x, y = F.relu(convolution(x)), F.relu(convolution(y))
            difference = (_unit(x) - _unit(y)).square()
            total = total + (difference * getattr(self, f"lin{level}")).sum(dim=1).mean()
        return total

    def _read(self, files: Sequence[str]) -> dict[str, Tensor]:
        """Read the tensors of all files, by torchvision's and LPIPS' shortest names."""
        tensors = {}
        for file in files:
            if not Path(file).is_file():
                raise FileNotFoundError(f"LPIPS weights {file}: not found")
            if file.endswith(".safetensors"):
                from safetensors.torch import load_file

                of_file = load_file(file)
            else:
                of_file = torch.load(file, map_location="cpu", weights_only=True)
            tensors |= {_shorten(name): tensor for name, tensor in of_file.items()}
        self.source = ", ".join(files)
        return tensors

    def _take(self, tensors: dict[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
        got = tuple(tensors[name].shape) if name in tensors else "absent"
        if got != shape:
            raise ValueError(f"LPIPS weights {self.source}: tensor {name} must be {shape}, got {got}")
        return tensors[name].float()

    def _convolution(self, tensors: dict[str, Tensor], layer: int, width: int, out: int) -> nn.Conv2d:
        convolution = nn.Conv2d(width, out, 3, padding=1)
        convolution.weight.data = self._take(tensors, f"features.{layer}.weight", (out, width, 3, 3))
        convolution.bias.data = self._take(tensors, f"features.{layer}.bias", (out,))
        return convolution


def _shorten(name: str) -> str:
    """Turn `net.slice2.5.weight` into `features.5.weight`, and `lin0.model.1.weight` into `lin0`."""
    name = re.sub(r"^net\.slice\d+\.(\d+)\.", r"features.\1.", name)
    return re.sub(r"^(lin\d)\.model\.1\.weight$", r"\1", name)


def _unit(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Normalise to length 1 along the channels."""
    return x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
