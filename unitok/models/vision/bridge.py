"""Bridges: what an encoder gives of an image to vectors that a transformer reads in place of embeddings.

The config of a kind is a frozen dataclass. Knows no image and no ids.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unitok.json_files import added_field
from unitok.models.sizes import check_sizes

Grid = tuple[int, int]
"""(rows, columns) of the vectors that an encoder gives of a tile."""
Norm = Literal["none", "each", "before", "after"]
GELU_GAIN = 0.652
"""Root mean square of GELU(x) for normally distributed x."""


class BridgeConfig(ABC):
    """Settings of a bridge; subclasses are frozen dataclasses."""

    @abstractmethod
    def build(self, dim: int, width: int, grid: Grid) -> nn.Module:
        """Vectors [b, n, dim] of tiles, row by row, to vectors [b, m, width].

        The layers end in a linear layer `out` and have a method `scale_to(rms)`, which initialises new ones.
        """

    @abstractmethod
    def places(self, grid: Grid) -> tuple[int, ...]:
        """(rows, columns) of the m vectors of a tile, or (m,) where they have no places in it.

        Raises ValueError where the bridge cannot read such a grid.
        """


@dataclass(frozen=True)
class Projector(BridgeConfig):
    """A linear layer (LLaVA, arXiv:2304.08485) or an MLP (LLaVA-1.5, arXiv:2310.03744) on each vector.

    With `merge`, on the channels of neighbours, as InternVL (arXiv:2404.16821, pixel shuffle) and Qwen2-VL
    (arXiv:2409.12191, section 2.1) have it.

    Args:
        hidden: channels between two linear layers with a GELU; 0 for a single linear layer.
        norm: a layer norm "before" or "after" it, of "each" vector before neighbours are merged, or "none".
        bias: whether its linear layers have one.
        merge: rows and columns of neighbours that become one vector; must divide the grid's.
    """

    hidden: int = 0
    norm: Norm = "before"
    bias: bool = True
    merge: int = added_field(1)

    def __post_init__(self):
        if type(self.hidden) is not int or self.hidden < 0:
            raise ValueError(f"hidden must be an integer of at least 0, got {self.hidden!r}")
        check_sizes(merge=self.merge)

    def build(self, dim: int, width: int, grid: Grid) -> nn.Module:
        return ProjectorLayers(self, dim, width, grid)

    def places(self, grid: Grid) -> tuple[int, ...]:
        if any(side % self.merge for side in grid):
            raise ValueError(f"bridge.merge must divide the encoder's grid of {grid}, got {self.merge}")
        return grid[0] // self.merge, grid[1] // self.merge


class ProjectorLayers(nn.Module):
    """The layers of a Projector."""

    def __init__(self, config: Projector, dim: int, width: int, grid: Grid):
        super().__init__()
        self.grid, self.merge = grid, config.merge
        self.each = nn.LayerNorm(dim) if config.norm == "each" else nn.Identity()
        dim *= config.merge**2
        self.before = nn.LayerNorm(dim) if config.norm == "before" else nn.Identity()
        self.first = nn.Linear(dim, config.hidden, bias=config.bias) if config.hidden else None
        self.out = nn.Linear(config.hidden or dim, width, bias=config.bias)
        self.after = nn.LayerNorm(width) if config.norm == "after" else nn.Identity()

    @torch.no_grad()
    def scale_to(self, rms: float) -> None:
        """Initialise the layers so that vectors have this root mean square, for inputs with one of 1."""
        init_linear_layers(self)
        if isinstance(self.after, nn.LayerNorm):
            nn.init.constant_(self.after.weight, rms)
        else:
            self.out.weight *= rms / (GELU_GAIN if self.first is not None else 1)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b m w"]:
        x = self.before(merge_neighbours(self.each(x), self.grid, self.merge))
        if self.first is not None:
            x = nn.functional.gelu(self.first(x))
        return self.after(self.out(x))


def merge_neighbours(x: Float[Tensor, "b n d"], grid: Grid, merge: int) -> Float[Tensor, "b m c"]:
    """Join the channels of merge x merge neighbours, which are row by row, to one vector."""
    if merge == 1:
        return x
    rows, columns = grid[0] // merge, grid[1] // merge
    x = x.unflatten(1, (rows, merge, columns, merge)).transpose(2, 3)
    return x.reshape(len(x), rows * columns, -1)


@torch.no_grad()
def init_linear_layers(layers: nn.Module) -> None:
    """Initialise all linear layers so that they keep the root mean square of what they read."""
    for layer in layers.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Bridge(nn.Module):
    """From tiles to a table of vectors.

    Args:
        layers: of a bridge's kind.
        encoder: gives vectors of pixels; None where the tiles are vectors already.
        count: vectors of a tile, where cross-attention reads them.
    """

    initialised = False
    """Whether its layers have weights with which a training starts."""

    def __init__(self, layers: nn.Module, encoder: nn.Module | None = None, count: int = 1):
        super().__init__()
        self.layers, self.encoder, self.count = layers, encoder, count

    def forward(self, tiles: Tensor) -> Float[Tensor, "n w"]:
        """The vectors of all tiles [b, n, d], or, through the encoder, of pixels in uint8 [b, 3, H, W]."""
        dtype = self.layers.out.weight.dtype
        if self.encoder is not None:
            tiles = encode_pixels(self.encoder, tiles, dtype)
        return self.layers(tiles.to(dtype)).flatten(0, 1)


def encode_pixels(encoder: nn.Module, pixels: Tensor, dtype: torch.dtype) -> Float[Tensor, "b n d"]:
    """An encoder's vectors of pixels in uint8 [b, 3, H, W], row by row."""
    return encoder(pixels.to(dtype) / 127.5 - 1).flatten(2).mT
