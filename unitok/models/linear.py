"""Matrix products of a few rows on a CPU, whose time is that of reading the weights. Knows no layers.

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


class Packed:
    """A weight in the layout of the products of several rows in bfloat16 on a CPU, a copy.

    Given a plain weight torch's own product lays it out anew at every call, which takes longer than the
    product.
    """

    def __init__(self, weight: Float[Tensor, "n k"], *, rows: int):
        self._version, self._start = weight._version, weight.data_ptr()
        self._laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), rows)

    def __call__(self, x: Float[Tensor, "m k"]) -> Float[Tensor, "m n"]:
        return torch.ops.mkldnn._linear_pointwise(x, self._laid_out, None, "none", [], "")

    def holds(self, weight: Float[Tensor, "n k"]) -> bool:
        """Whether it is a copy of this weight as it is now."""
        return (self._version, self._start) == (weight._version, weight.data_ptr())

    @staticmethod
    def helps(x: Float[Tensor, "m k"], weight: Float[Tensor, "n k"]) -> bool:
        """Whether there is such a layout here, and rows enough."""
        return (
            len(x) > SUMS
            and x.device.type == "cpu"
            and x.dtype == weight.dtype == torch.bfloat16
            and not weight.is_inference()  # such weights do not tell when they change
            and torch.backends.mkldnn.is_available()
            and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        )


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
