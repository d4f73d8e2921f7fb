"""Bridges: what an encoder gives of an image to vectors that a transformer reads in place of embeddings.

The config of a kind is a frozen dataclass. Knows no image and no ids.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Norm = Literal["none", "before", "after"]
GELU_GAIN = 0.652
"""Root mean square of GELU(x) for normally distributed x."""


class BridgeConfig(ABC):
    """Settings of a bridge; subclasses are frozen dataclasses."""

    @abstractmethod
    def build(self, dim: int, width: int) -> nn.Module:
        """Vectors [b, n, dim] to vectors [b, m, width], with a method `scale_to(rms)` for a new one."""

    @abstractmethod
    def places(self, rows: int, columns: int) -> tuple[int, int]:
        """(rows, columns) of the vectors made of a grid of so many."""


@dataclass(frozen=True)
class Projector(BridgeConfig):
    """A linear layer (LLaVA, arXiv:2304.08485) or an MLP (LLaVA-1.5, arXiv:2310.03744) on each vector.

    Args:
        hidden: channels between two linear layers with a GELU; 0 for a single linear layer.
        norm: a layer norm "before" or "after" it, or "none".
        bias: whether its linear layers have one.
    """

    hidden: int = 0
    norm: Norm = "before"
    bias: bool = True

    def __post_init__(self):
        if type(self.hidden) is not int or self.hidden < 0:
            raise ValueError(f"hidden must be an integer of at least 0, got {self.hidden!r}")

    def build(self, dim: int, width: int) -> nn.Module:
        return ProjectorLayers(self, dim, width)

    def places(self, rows: int, columns: int) -> tuple[int, int]:
        return rows, columns


class ProjectorLayers(nn.Module):
    """The layers of a Projector."""

    def __init__(self, config: Projector, dim: int, width: int):
        super().__init__()
        self.before = nn.LayerNorm(dim) if config.norm == "before" else nn.Identity()
        self.first = nn.Linear(dim, config.hidden, bias=config.bias) if config.hidden else None
        self.out = nn.Linear(config.hidden or dim, width, bias=config.bias)
        self.after = nn.LayerNorm(width) if config.norm == "after" else nn.Identity()

    @torch.no_grad()
    def scale_to(self, rms: float) -> None:
        """Initialise the layers so that vectors have this root mean square, for inputs with one of 1."""
        for layer in (self.first, self.out):
            if layer is not None:
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        if isinstance(self.after, nn.LayerNorm):
            nn.init.constant_(self.after.weight, rms)
        else:
            self.out.weight *= rms / (GELU_GAIN if self.first is not None else 1)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n w"]:
        x = self.before(x)
        if self.first is not None:
            x = nn.functional.gelu(self.first(x))
        return self.after(self.out(x))


class Bridge(nn.Module):
    """From tiles to a table of vectors.

    Args:
        layers: of a bridge's kind.
        encoder: gives vectors of pixels; None where the tiles are vectors already.
    """

    def __init__(self, layers: nn.Module, encoder: nn.Module | None = None):
        super().__init__()
        self.layers, self.encoder = layers, encoder

    def forward(self, tiles: Tensor) -> Float[Tensor, "n w"]:
        """The vectors of all tiles [b, n, d], or, through the encoder, of pixels in uint8 [b, 3, H, W]."""
        dtype = self.layers.out.weight.dtype
        if self.encoder is not None:
            tiles = encode_pixels(self.encoder, tiles, dtype)
        return self.layers(tiles.to(dtype)).flatten(0, 1)


def encode_pixels(encoder: nn.Module, pixels: Tensor, dtype: torch.dtype) -> Float[Tensor, "b n d"]:
    """An encoder's vectors of pixels in uint8 [b, 3, H, W], row by row."""
    return encoder(pixels.to(dtype) / 127.5 - 1).flatten(2).mT
