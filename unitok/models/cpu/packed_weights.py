"""Prepacked weights: laid out once for oneDNN's bfloat16 products of several rows. Knows linear layers, no
model.

Given a plain weight torch's own product lays it out anew at every call, which takes longer than the product.
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
"""For so many rows weights are laid out; the layout is the same from two on."""


class Packed:
    """Some outputs of a weight in the layout of oneDNN's products, a copy."""

    def __init__(self, weight: Float[Tensor, "n k"], block: range):
        self._of, self._version, self._start = ref(weight), weight._version, weight.data_ptr()
        part = weight.detach()[block.start : block.stop].contiguous()
        self.laid_out = torch.ops.mkldnn._reorder_linear_weight(part, ROWS)

    def __call__(self, x: Float[Tensor, "m k"]) -> Float[Tensor, "m n"]:
        return product(x, self.laid_out)

    def holds(self, weight: Float[Tensor, "n k"]) -> bool:
        """Whether it is a copy of this weight as it is now."""
        return self._of() is weight and self._version == weight._version and self._start == weight.data_ptr()

    @staticmethod
    def helps(weight: Float[Tensor, "n k"]) -> bool:
        """Whether there is such a layout here."""
        return (
            weight.device.type == "cpu"
            and weight.dtype == torch.bfloat16
            and not weight.is_inference()  # such weights do not tell when they change
            and not lacks_bfloat16(weight.device)
        )


_KEPT: WeakKeyDictionary[nn.Linear, dict[range, Packed]] = WeakKeyDictionary()


def packed(layer: nn.Linear, block: range) -> Packed:
    """Some outputs of a layer, laid out when they are first asked for or have changed; kept as long as the
    layer, so that every engine of a model finds them."""
    kept = _KEPT.setdefault(layer, {})
    if block not in kept or not kept[block].holds(layer.weight):
        kept[block] = Packed(layer.weight, block)
    return kept[block]


class PackedLinear(nn.Module):
    """What a linear layer gives, by its packed weight, without gradients."""

    def __init__(self, layer: Linear):
        super().__init__()
        self.layer = layer
        self.renew()

    @property
    def weight(self) -> Float[Tensor, "n k"]:
        """The layer's own."""
        return self.layer.weight

    def renew(self) -> None:
        """Follow the layer's weight; what is compiled takes the copy as an argument and stays."""
        self._copy = packed(self.layer, range(self.layer.out_features))
        self.laid_out = self._copy.laid_out

    @property
    def stale(self) -> bool:
        """Whether the layer's weight has changed."""
        return not self._copy.holds(self.layer.weight)

    def forward(self, x: Float[Tensor, "*b k"]) -> Float[Tensor, "*b n"]:
        flat = x.reshape(-1, x.shape[-1])
        return torch.ops.unitok.packed_product(flat, self.laid_out).view(*x.shape[:-1], -1)


def with_packed(model: nn.Module, part: nn.Module) -> nn.Module:
    """A model that shares all with this one but the linear layers of `part`, which it packs; this one where
    none can be."""
    layers = [m for m in part.modules() if type(m) is Linear and Packed.helps(m.weight) and compiles()]
    packs = {id(layer): PackedLinear(layer) for layer in layers}
    others = [m for m in model.modules() if not any(id(within) in packs for within in m.modules())]
    return deepcopy(model, {id(kept): kept for kept in [*others, *model.parameters()]} | packs)


def product(x: Float[Tensor, "m k"], laid_out: Tensor) -> Float[Tensor, "m n"]:
    """Of rows with a weight that is laid out."""
    return torch.ops.mkldnn._linear_pointwise(x, laid_out, None, "none", [], "")


@cache
def compiles() -> bool:
    """Declare the product to inductor as `torch.ops.unitok.packed_product`; whether compiled code gives it.

    Its own wants weights that are constants: a compilation for every set of weights, and none could change.
    And a custom operation alone is called through Python, which takes as long as the layout gains.
    """
    operation = torch.library.custom_op(
        "unitok::packed_product", product, mutates_args=(), schema="(Tensor x, Tensor laid_out) -> Tensor"
    )
    operation.register_fake(lambda x, laid_out: x.new_empty(len(x), len(laid_out)))
    try:  # none of this is public
        _lower(torch.ops.unitok.packed_product.default)
        x, weight = torch.ones(2, 3, dtype=torch.bfloat16), torch.eye(4, 3, dtype=torch.bfloat16)
        probe = torch.compile(torch.ops.unitok.packed_product.default, options={"cpp_wrapper": True})
        return torch.equal(probe(x, Packed(weight, range(4)).laid_out), x @ weight.t())
    except Exception:  # every release may have its own kinds
        return False


def _lower(operation: torch._ops.OpOverload) -> None:
    """Compile an operation to oneDNN's product, called directly, of a weight that is an argument."""
    from torch._inductor import ir
    from torch._inductor.lowering import register_lowering
    from torch._inductor.mkldnn_ir import LinearUnary, _create_output_node

    @register_lowering(operation, type_promotion_kind=None)
    def lowered(x: ir.TensorBox, laid_out: ir.TensorBox) -> ir.TensorBox:
        inputs = [ir.ExternKernel.require_contiguous(x), ir.ExternKernel.realize_input(laid_out)]
        layout = ir.FixedLayout(x.get_device(), x.get_dtype(), [x.get_size()[0], laid_out.get_size()[0]])
        call = LinearUnary(layout=layout, inputs=inputs, constant_args=[None, "none", [-1], ""])
        return ir.TensorBox.create(_create_output_node(call))
