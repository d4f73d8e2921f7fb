"""The gated feed-forward layer of a block. Knows no attention."""

from collections.abc import Callable

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from unitok.models.cpu.linear import Linear
from unitok.models.transformer_config import Activation


def gelu_tanh(x: Float[Tensor, "*b n"]) -> Float[Tensor, "*b n"]:
    """GELU by its approximation with tanh (Hendrycks and Gimpel, arXiv:1606.08415)."""
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {"silu": F.silu, "gelu_tanh": gelu_tanh}


class FeedForward(nn.Module):
    """SwiGLU or GeGLU (Shazeer, arXiv:2002.05202, eq. 6 and 5); gate and up share one projection."""

    def __init__(
        self,
        width: int,
        hidden: int,
        activation: Activation = "silu",
        *,
        matrix: Callable[[int, int], Linear] = Linear,
    ):
        super().__init__()
        self.gate_up = matrix(width, 2 * hidden)
        self.activate = ACTIVATIONS[activation]
        self.down = matrix(hidden, width)

    def forward(self, x: Float[Tensor, "*k d"], *visual: Bool[Tensor, "*k 1"]) -> Float[Tensor, "*k d"]:
        """`visual` is what the matrices take beside `x`."""
        gate, up = self.gate_up(x, *visual).chunk(2, dim=-1)
        return self.down(self.activate(gate) * up, *visual)
