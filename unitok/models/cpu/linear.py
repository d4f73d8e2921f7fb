"""Matrix products of few rows, bound by reading the weights. Knows no layers.

A step of decoding has one row a line. torch's kernel for one row reads the weights at half the rate that the
memory allows; in fp32 its product of the weights with a few columns is faster, two for one row, and compiled,
plain sums over the rows of the weights, which inductor makes one loop of, are faster than either. A sum waits
for its last addition, so some rows of the weights are summed side by side.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

FEW = 8
"""Most rows for which products with columns are faster than torch's own: twice as fast from two to five."""
SUMS = 4
"""Sums that go on side by side, so the most rows too. With more, two rows take half as long again."""


class Linear(nn.Linear):
    """A layer without a bias; without gradients and for few rows on a CPU, by the faster way."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Float[Tensor, "*b k"]) -> Float[Tensor, "*b n"]:
        return project(x, self.weight)


def project(x: Float[Tensor, "*b k"], weight: Float[Tensor, "n k"]) -> Float[Tensor, "*b n"]:
    """What F.linear gives, up to the order of the sums."""
    rows = x.numel() // x.shape[-1]
    if x.device.type != "cpu" or torch.is_grad_enabled():
        return F.linear(x, weight)
    flat = x.reshape(rows, -1)
    if torch.compiler.is_compiling() and rows <= SUMS and weight.dtype in (torch.float32, torch.bfloat16):
        return _summed(flat, weight).view(*x.shape[:-1], -1)
    if rows > FEW or x.dtype != torch.float32 or weight.dtype != torch.float32:
        return F.linear(x, weight)
    columns = torch.cat((flat, flat)) if rows == 1 else flat  # two columns take half the time of one
    return torch.mm(weight, columns.t())[:, :rows].t().reshape(*x.shape[:-1], -1)


def _summed(x: Float[Tensor, "m k"], weight: Float[Tensor, "n k"]) -> Float[Tensor, "m n"]:
    """Every row's products with the rows of the weights, added up in float32."""
    wide = torch.promote_types(x.dtype, torch.float32)
    strands = SUMS // len(x) if len(weight) % SUMS == 0 else 1
    parts = weight.to(wide).unflatten(0, (strands, -1))
    rows = [torch.cat([(part * row.to(wide)).sum(-1) for part in parts]) for row in x]
    return torch.stack(rows).to(x.dtype)
