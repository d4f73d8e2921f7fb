"""The Perceiver resampler: a fixed number of queries reads a tile of any size. Knows no image and no ids."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.sizes import check_depths, check_sizes
from unitok.models.vision.bridge import BridgeConfig, Grid
from unitok.models.vision.query_attention import QueryAttention, QueryLayers


@dataclass(frozen=True)
class Resampler(BridgeConfig):
    """Queries attend to the vectors of a tile and to each other (Flamingo, arXiv:2204.14198, section 2.1).

    One layer of 256 queries is near to Qwen-VL's (arXiv:2308.12966).

    Args:
        queries: number of vectors of a tile.
        layers: of attention and feed-forward.
        heads: attention heads.
        head_width: channels of a head.
        hidden: channels inside the feed-forward; 0 for four times the encoder's.
        positions: tell the queries where each vector is; false for weights of Idefics, whose encoder does.
    """

    queries: int = 64
    layers: int = 2
    heads: int = 8
    head_width: int = 64
    hidden: int = 0
    positions: bool = True

    def __post_init__(self):
        check_sizes(queries=self.queries, heads=self.heads, head_width=self.head_width)
        check_depths(layers=self.layers)
        check_sizes(hidden=self.hidden or 1)

    def build(self, dim: int, width: int, grid: Grid) -> nn.Module:
        return ResamplerLayers(self, dim, width, grid)

    def places(self, grid: Grid) -> tuple[int, ...]:
        return (self.queries,)


class ResamplerLayers(QueryLayers):
    """The layers of a Resampler, of the encoder's width; `out` leads to the transformer's."""

    def __init__(self, config: Resampler, dim: int, width: int, grid: Grid):
        super().__init__(config.queries, dim, grid if config.positions else None)
        self.layers = nn.ModuleList(ResamplerLayer(config, dim) for _ in range(config.layers))
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, width)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b m w"]:
        keys = self.keys_of(x)
        queries = self.queries.expand(len(x), -1, -1)
        for layer in self.layers:
            queries = layer(queries, keys)
        return self.out(self.norm(queries))


class ResamplerLayer(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)); the queries are among the keys."""

    def __init__(self, config: Resampler, dim: int):
        super().__init__()
        self.key_norm, self.query_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = QueryAttention(
            dim, dim, heads=config.heads, head_width=config.head_width, bias=False
        )
        hidden = config.hidden or 4 * dim
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.up, self.down = nn.Linear(dim, hidden, bias=False), nn.Linear(hidden, dim, bias=False)

    def forward(
        self, queries: Float[Tensor, "b m d"], keys: Float[Tensor, "b n d"]
    ) -> Float[Tensor, "b m d"]:
        normed = self.query_norm(queries)
        queries = queries + self.attention(normed, torch.cat((self.key_norm(keys), normed), dim=1))
        return queries + self.down(F.relu(self.up(self.feed_forward_norm(queries))))
