"""The transformer architecture of ViT-VQGAN and Parti (arXiv:2110.04627, 2206.10789). Knows no codebook."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.image_tokenizer.architecture import Architecture
from unitok.models.sizes import check_depths, check_sizes


@dataclass(frozen=True)
class ViT(Architecture):
    """Each cell is a token; encoder and decoder are bidirectional transformers.

    Positions are sines and cosines of row and column, so that images may have any size.

    Args:
        factor: pixels per side of one code's cell.
        width: channels of a token; must be a multiple of 4 and of `heads`.
        depth: blocks of the encoder, and of the decoder.
        heads: attention heads.
        hidden: channels inside the MLP.
    """

    factor: int = 8
    width: int = 256
    depth: int = 4
    heads: int = 4
    hidden: int = 1024

    def __post_init__(self):
        check_sizes(factor=self.factor, width=self.width, heads=self.heads, hidden=self.hidden)
        check_depths(depth=self.depth)
        if self.width % 4 or self.width % self.heads:
            raise ValueError(f"width must be a multiple of 4 and of heads={self.heads}, got {self.width}")

    @property
    def cell(self) -> int:
        return self.factor

    def encoder(self, dim: int) -> nn.Module:
        return nn.Sequential(nn.PixelUnshuffle(self.factor), Blocks(self, 3 * self.factor**2, dim))

    def decoder(self, dim: int) -> nn.Module:
        return nn.Sequential(Blocks(self, dim, 3 * self.factor**2), nn.PixelShuffle(self.factor))


class Blocks(nn.Module):
    """A grid of `inputs` channels, through transformer blocks, to one of `outputs` channels."""

    def __init__(self, sizes: ViT, inputs: int, outputs: int):
        super().__init__()
        self.embed = nn.Linear(inputs, sizes.width)
        self.blocks = nn.ModuleList(
            Block(sizes.width, heads=sizes.heads, hidden=sizes.hidden) for _ in range(sizes.depth)
        )
        self.norm = nn.LayerNorm(sizes.width)
        self.out = nn.Linear(sizes.width, outputs)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        grid = x.shape[2:]
        x = self.embed(x.flatten(2).mT)
        x = x + positions(*grid, x.shape[-1], device=x.device).to(x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.out(self.norm(x)).mT.unflatten(2, grid)


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x))."""

    def __init__(self, width: int, *, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        attended = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm_mlp(x))))


def positions(rows: int, columns: int, width: int, *, device: torch.device) -> Float[Tensor, "n c"]:
    """Sines and cosines of the row in the first half of the channels, and of the column in the second."""
    rates = 100.0 ** -torch.linspace(0, 1, width // 4, device=device)
    halves = []
    for count in (rows, columns):
        angles = torch.arange(count, device=device)[:, None] * rates
        halves.append(torch.cat((angles.sin(), angles.cos()), dim=1))
    down = halves[0][:, None].expand(-1, columns, -1)
    across = halves[1][None].expand(rows, -1, -1)
    return torch.cat((down, across), dim=-1).flatten(0, 1)
