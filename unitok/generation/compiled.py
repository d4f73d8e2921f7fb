"""A model's steps, compiled: each of the few shapes that decoding takes, once. Knows tensors, no documents.

A compilation takes half a minute, and seconds where its result is on disk from an earlier run; so rows are
rounded up to powers of two, and how many tokens the cache holds is left open.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.cursor import Legal
from unitok.models.cache import Cache
from unitok.models.linear import Packed, project
from unitok.models.transformer import Transformer
from unitok.sampling import gumbel

ALIGNED = 16
"""Slots of the cache are seen in multiples of so many, as kernels of GPUs want masks."""
SHAPES = 64
"""Most shapes of one function that are compiled; what comes later runs as it is."""


class CompiledSteps:
    """Reads the next tokens of many rows as the model does, by compiled code."""

    def __init__(self, model: Transformer):
        self._model = model
        on_cpu = model.embedding.weight.device.type == "cpu"
        options = {"cpp_wrapper": True} if on_cpu else None  # Python takes as long as a small kernel
        self._through = torch.compile(model.through, dynamic=False, options=options)
        self._product = torch.compile(project, dynamic=False, options=options)
        self._noise = torch.compile(gumbel, dynamic=False, options=options)
        self._packed: dict[range, Packed] = {}
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, SHAPES)

    def __call__(
        self, ids: Int64[Tensor, "b t"], positions: Int64[Tensor, "b t 3"], cache: Cache
    ) -> Float[Tensor, "b t d"]:
        """Hidden states, as `Transformer.forward` gives them."""
        room = self._model.room(ids, cache, multiple=ALIGNED)
        torch._dynamo.mark_dynamic(room.mask, 3)
        for lines in room.lines:
            torch._dynamo.mark_dynamic(lines, 2)
        return self._through(ids, positions, mask=room.mask, room=room)

    def head(self, hidden: Float[Tensor, "n d"], block: Legal) -> Float[Tensor, "n m"]:
        """Logits, as `Transformer.head` gives them."""
        if not isinstance(block, range) or rounded(len(hidden)) != len(hidden):
            return self._model.head(hidden, block)
        weight = self._model.unembedding.weight[block.start : block.stop]
        if Packed.helps(hidden, weight):
            return self._laid_out(block, weight, rows=len(hidden))(hidden).float()
        return self._product(hidden, weight).float()

    def _laid_out(self, block: range, weight: Float[Tensor, "m d"], *, rows: int) -> Packed:
        """The block's weight, laid out when it is first asked for or has changed."""
        packed = self._packed.get(block)
        if packed is None or not packed.holds(weight):
            packed = self._packed[block] = Packed(weight, rows=rows)
        return packed

    def noise(
        self, keys: Int64[Tensor, " n"], counters: Int64[Tensor, " n"], ids: Int64[Tensor, " m"]
    ) -> Float[Tensor, "n m"]:
        """As `gumbel` gives it."""
        if rounded(len(keys)) != len(keys):
            return gumbel(keys, counters, ids)
        return self._noise(keys, counters, ids)


def rounded(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()
