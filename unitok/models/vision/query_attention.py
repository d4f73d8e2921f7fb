"""What bridges of queries share: attention to a tile's vectors, and their places. Knows no bridge."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.image_tokenizer.vit import positions


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


def add_places(x: Float[Tensor, "b n d"], grid: tuple[int, int]) -> Float[Tensor, "b n d"]:
    """Normalise vectors and add sines and cosines of their row and column, since attention has no order
    (Qwen-VL, arXiv:2308.12966, section 2.1)."""
    places = positions(*grid, x.shape[-1], device=x.device).to(x.dtype)
    return F.layer_norm(x, x.shape[-1:]) + F.pad(places, (0, x.shape[-1] - places.shape[-1]))
