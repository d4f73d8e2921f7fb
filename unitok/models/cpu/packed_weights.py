"""Prepacked weights: laid out once for oneDNN's bfloat16 products of several rows. Knows linear layers, no
model.

With a plain weight, torch's own product repacks it at every call, which takes longer than the product itself.
"""

from copy import deepcopy
from functools import cache
from weakref import WeakKeyDictionary, ref

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unitok.device import lacks_bfloat16
from unitok.models.cpu.linear import Linear

ROWS = 64
"""Number of rows for which weights are prepacked; the layout is the same from two rows on."""


class PrepackedWeight:
    """A copy of a block of a weight's rows, in the layout of oneDNN's products."""

    def __init__(self, weight: Float[Tensor, "n k"], block: range):
        self._source, self._version, self._address = ref(weight), weight._version, weight.data_ptr()
        rows = weight.detach()[block.start : block.stop].contiguous()
        self.tensor = torch.ops.mkldnn._reorder_linear_weight(rows, ROWS)

    def __call__(self, x: Float[Tensor, "m k"]) -> Float[Tensor, "m n"]:
        return prepacked_product(x, self.tensor)

    def matches(self, weight: Float[Tensor, "n k"]) -> bool:
        """Whether it is a copy of this weight in its present state."""
        return (
            self._source() is weight
            and self._version == weight._version
            and self._address == weight.data_ptr()
        )

    @staticmethod
    def helps(weight: Float[Tensor, "n k"]) -> bool:
        """Whether prepacking is available for this weight, and faster."""
        return (
            weight.device.type == "cpu"
            and weight.dtype == torch.bfloat16
            and not weight.is_inference()  # inference tensors have no version counter
            and not lacks_bfloat16(weight.device)
        )


_CACHE: WeakKeyDictionary[nn.Linear, dict[range, PrepackedWeight]] = WeakKeyDictionary()


def prepacked(layer: nn.Linear, block: range) -> PrepackedWeight:
    """Returns a block of a layer's weight, prepacked at its first use and whenever the weight has changed.

    The result is cached for the lifetime of the layer, so that all engines of a model share it.
    """
    blocks = _CACHE.setdefault(layer, {})
    if block not in blocks or not blocks[block].matches(layer.weight):
        blocks[block] = PrepackedWeight(layer.weight, block)
    return blocks[block]


class PrepackedLinear(nn.Module):
    """A linear layer that computes with its prepacked weight, without gradients."""

    def __init__(self, layer: Linear):
        super().__init__()
        self.layer = layer
        self.renew()

    @property
    def weight(self) -> Float[Tensor, "n k"]:
        """The layer's own weight."""
        return self.layer.weight

    def renew(self) -> None:
        """Copy the layer's weight again; compiled code takes the copy as an argument and stays valid."""
        self._copy = prepacked(self.layer, range(self.layer.out_features))
        self.tensor = self._copy.tensor

    @property
    def stale(self) -> bool:
        """Whether the layer's weight has changed."""
        return not self._copy.matches(self.layer.weight)

    def forward(self, x: Float[Tensor, "*b k"]) -> Float[Tensor, "*b n"]:
        flat = x.reshape(-1, x.shape[-1])
        return torch.ops.unitok.prepacked_product(flat, self.tensor).view(*x.shape[:-1], -1)


def with_prepacked(model: nn.Module, part: nn.Module) -> nn.Module:
    """Returns a copy of the model that shares its weights and modules, but prepacks the linear layers of
    `part`; the model itself where prepacking does not help."""
    layers = [
        m for m in part.modules() if isinstance(m, Linear) and PrepackedWeight.helps(m.weight) and compiles()
    ]
    replaced = {id(layer): PrepackedLinear(layer) for layer in layers}
    shared = [m for m in model.modules() if not any(id(inner) in replaced for inner in m.modules())]
    return deepcopy(model, {id(item): item for item in [*shared, *model.parameters()]} | replaced)


def prepacked_product(x: Float[Tensor, "m k"], weight: Tensor) -> Float[Tensor, "m n"]:
    """The product of rows with a prepacked weight."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


@cache
def compiles() -> bool:
    """Register `torch.ops.unitok.prepacked_product` with inductor; returns whether compiled code is correct.

    Inductor's own prepacking requires constant weights: one compilation per set of weights, which could never
    change. And a plain custom operation is called through Python, which takes as long as prepacking saves.
    """
    operation = torch.library.custom_op(
        "unitok::prepacked_product",
        prepacked_product,
        mutates_args=(),
        schema="(Tensor x, Tensor weight) -> Tensor",
    )
    operation.register_fake(lambda x, weight: x.new_empty(len(x), len(weight)))
    try:  # none of this API is public
        _lower(torch.ops.unitok.prepacked_product.default)
        x, weight = torch.ones(2, 3, dtype=torch.bfloat16), torch.eye(4, 3, dtype=torch.bfloat16)
        probe = torch.compile(torch.ops.unitok.prepacked_product.default, options={"cpp_wrapper": True})
        return torch.equal(probe(x, PrepackedWeight(weight, range(4)).tensor), x @ weight.t())
    except Exception:  # any kind, depending on the release of torch
        return False


def _lower(operation: torch._ops.OpOverload) -> None:
    """Lower an operation to a direct call of oneDNN's product, whose weight is an argument."""
    from torch._inductor import ir
    from torch._inductor.lowering import register_lowering
    from torch._inductor.mkldnn_ir import LinearUnary, _create_output_node

    @register_lowering(operation, type_promotion_kind=None)
    def lowering(x: ir.TensorBox, weight: ir.TensorBox) -> ir.TensorBox:
        inputs = [ir.ExternKernel.require_contiguous(x), ir.ExternKernel.realize_input(weight)]
        layout = ir.FixedLayout(x.get_device(), x.get_dtype(), [x.get_size()[0], weight.get_size()[0]])
        call = LinearUnary(layout=layout, inputs=inputs, constant_args=[None, "none", [-1], ""])
        return ir.TensorBox.create(_create_output_node(call))
