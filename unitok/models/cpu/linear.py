"""Matrix products of few rows, bound by reading the weights. Knows no layers.

A decoding step has one row per cache row. torch's kernel for one row reads the weights at half the memory
bandwidth; in fp32 the product of the weights with a few columns (two for one row) is faster. In compiled
code, plain sums over the rows of the weights, which inductor fuses into one loop, are faster than either.
Each addition waits for the previous one, so several sums run side by side.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

MAX_COLUMNS = 8
"""Maximum number of rows for which products with columns are faster: twice as fast from two to five rows."""
SUMS = 4
"""Sums computed side by side, and so the maximum number of rows too. With more, two rows take 1.5 times as
long."""


class Linear(nn.Linear):
    """A linear layer without bias; faster for few rows on a CPU where no gradients are needed."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Float[Tensor, "*b k"]) -> Float[Tensor, "*b n"]:
        return project(x, self.weight)


def project(x: Float[Tensor, "*b k"], weight: Float[Tensor, "n k"]) -> Float[Tensor, "*b n"]:
    """Equals F.linear up to the order of the sums."""
    rows = x.numel() // x.shape[-1]
    if x.device.type != "cpu" or torch.is_grad_enabled():
        return F.linear(x, weight)
    flat = x.reshape(rows, -1)
    if torch.compiler.is_compiling() and rows <= SUMS and weight.dtype in (torch.float32, torch.bfloat16):
        return _project_by_sums(flat, weight).view(*x.shape[:-1], -1)
    if rows > MAX_COLUMNS or x.dtype != torch.float32 or weight.dtype != torch.float32:
        return F.linear(x, weight)
    columns = torch.cat((flat, flat)) if rows == 1 else flat  # two columns take half the time of one
    return torch.mm(weight, columns.t())[:, :rows].t().reshape(*x.shape[:-1], -1)


def _project_by_sums(x: Float[Tensor, "m k"], weight: Float[Tensor, "n k"]) -> Float[Tensor, "m n"]:
    """The products of each row with the rows of the weights, accumulated in float32."""
    wide = torch.promote_types(x.dtype, torch.float32)
    strands = SUMS // len(x) if len(weight) % SUMS == 0 else 1
    parts = weight.to(wide).unflatten(0, (strands, -1))
    rows = [torch.cat([(part * row.to(wide)).sum(-1) for part in parts]) for row in x]
    return torch.stack(rows).to(x.dtype)
