"""What bridges of queries share: attention to a tile's vectors, and their places. Knows no kind of bridge."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.image_tokenizer.vit import positions
from unitok.models.vision.bridge import Grid, init_linear_layers


class QueryAttention(nn.Module):
    """Multi-head attention of queries to keys of another width.

    Args:
        width: channels of a query, and of the result.
        key_width: channels of a key.
        heads: number of heads.
        head_width: channels of a head.
        bias: whether its linear layers have one.
    """

    def __init__(self, width: int, key_width: int, *, heads: int, head_width: int, bias: bool):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, heads * head_width, bias=bias)
        self.key = nn.Linear(key_width, heads * head_width, bias=bias)
        self.value = nn.Linear(key_width, heads * head_width, bias=bias)
        self.out = nn.Linear(heads * head_width, width, bias=bias)

    def forward(
        self, queries: Float[Tensor, "b m w"], keys: Float[Tensor, "b n k"]
    ) -> Float[Tensor, "b m w"]:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, queries), (self.key, keys), (self.value, keys))
        )
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class QueryLayers(nn.Module):
    """Queries that read a tile; subclasses add layers, and `out`, which leads to the transformer's width.

    Args:
        count: number of queries.
        width: channels of a query.
        grid: (rows, columns) of the tile's vectors, of whose places queries are told; None tells nothing.
    """

    def __init__(self, count: int, width: int, grid: Grid | None):
        super().__init__()
        self.grid = grid
        self.queries = nn.Parameter(torch.randn(count, width))

    @torch.no_grad()
    def scale_to(self, rms: float) -> None:
        """Initialise the layers so that vectors have this root mean square."""
        nn.init.normal_(self.queries)
        init_linear_layers(self)
        self.out.weight *= rms

    def keys_of(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """What queries read of a tile's vectors."""
        return x if self.grid is None else add_places(x, self.grid)


def add_places(x: Float[Tensor, "b n d"], grid: tuple[int, int]) -> Float[Tensor, "b n d"]:
    """Normalise vectors and add sines and cosines of their row and column, since attention has no order
    (Qwen-VL, arXiv:2308.12966, section 2.1)."""
    places = positions(*grid, x.shape[-1], device=x.device).to(x.dtype)
    return F.layer_norm(x, x.shape[-1:]) + F.pad(places, (0, x.shape[-1] - places.shape[-1]))
