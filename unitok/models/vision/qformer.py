"""The Q-Former: a BERT whose queries read a tile in every second layer. Knows no image and no ids."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.sizes import check_depths, check_sizes
from unitok.models.vision.bridge import BridgeConfig, Grid
from unitok.models.vision.query_attention import QueryAttention, QueryLayers

NORM_EPS = 1e-12


@dataclass(frozen=True)
class QFormer(BridgeConfig):
    """Queries through BERT's blocks, some of which attend to a tile (BLIP-2, arXiv:2301.12597, section 3.1).

    A linear layer, the part `bridge.out`, leads to the transformer: MiniGPT-4 (arXiv:2304.10592) trains it
    alone.

    Args:
        queries: number of vectors of a tile.
        width: channels of a query.
        layers: number of blocks.
        heads: attention heads; must divide `width`.
        hidden: channels inside the feed-forward; 0 for four times the width.
        every: the first of so many blocks attends to the tile.
        positions: tell the queries where each vector is; false for weights of BLIP-2, whose encoder does.
    """

    queries: int = 32
    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 0
    every: int = 2
    positions: bool = True

    def __post_init__(self):
        check_sizes(queries=self.queries, width=self.width, heads=self.heads, hidden=self.hidden or 1)
        check_depths(layers=self.layers, every=self.every)
        if self.width % self.heads:
            raise ValueError(f"heads must divide width={self.width}, got {self.heads}")

    def build(self, dim: int, width: int, grid: Grid) -> nn.Module:
        return QFormerLayers(self, dim, width, grid)

    def places(self, grid: Grid) -> tuple[int, ...]:
        return (self.queries,)


class QFormerLayers(QueryLayers):
    """The layers of a QFormer; `out` leads to the transformer's width.

    In BLIP-2 `queries` are `query_tokens`, `norm` is `qformer.layernorm`, `layers` are
    `qformer.encoder.layer`, `out` is `language_projection`.
    """

    def __init__(self, config: QFormer, dim: int, width: int, grid: Grid):
        super().__init__(config.queries, config.width, grid if config.positions else None)
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.layers = nn.ModuleList(
            QFormerLayer(config, dim if layer % config.every == 0 else None) for layer in range(config.layers)
        )
        self.out = nn.Linear(config.width, width)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b m w"]:
        keys = self.keys_of(x)
        queries = self.norm(self.queries).expand(len(x), -1, -1)
        for layer in self.layers:
            queries = layer(queries, keys)
        return self.out(queries)


class QFormerLayer(nn.Module):
    """norm(x + attention(x)), perhaps norm(x + cross(x, tile)), then norm(x + feed_forward(x)).

    In BLIP-2 `attention` is `attention.attention` with its `out` in `attention.output.dense`, and `cross` is
    `crossattention` likewise; `up` is `intermediate_query.dense`, `down` is `output_query.dense`; each norm
    is the LayerNorm of the output before it.
    """

    def __init__(self, config: QFormer, key_width: int | None):
        super().__init__()
        width = config.width
        heads = {"heads": config.heads, "head_width": width // config.heads, "bias": True}
        self.attention = QueryAttention(width, width, **heads)
        self.attention_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.cross = None if key_width is None else QueryAttention(width, key_width, **heads)
        self.cross_norm = None if key_width is None else nn.LayerNorm(width, eps=NORM_EPS)
        hidden = config.hidden or 4 * width
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(
        self, queries: Float[Tensor, "b m w"], keys: Float[Tensor, "b n d"]
    ) -> Float[Tensor, "b m w"]:
        queries = self.attention_norm(queries + self.attention(queries, queries))
        if self.cross is not None:
            queries = self.cross_norm(queries + self.cross(queries, keys))
        return self.feed_forward_norm(queries + self.down(F.gelu(self.up(queries))))
