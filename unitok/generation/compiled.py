"""Decoding steps compiled by torch.compile, once for each of few shapes. Knows tensors, no documents.

A compilation takes half a minute, and seconds where its result is on disk from an earlier run; so rows are
rounded up to powers of two, and how many tokens the cache holds is left open.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.generation.sampling import gumbel
from unitok.models.cpu.huge_pages import to_large_pages
from unitok.models.cpu.linear import SUMS, project
from unitok.models.cpu.packed_weights import Packed, PackedLinear, packed, with_packed
from unitok.models.kv_cache import Cache
from unitok.models.transformer import Transformer
from unitok.tokens.cursor import Legal

ALIGNED = 16
"""Slots of the cache are seen in multiples of so many, as kernels of GPUs want masks."""
SHAPES = 64
"""Most shapes of one function that are compiled; what comes later runs as it is."""


class CompiledSteps:
    """Reads the next tokens of many rows as the model does, by compiled code."""

    def __init__(self, model: Transformer):
        self._model = model
        to_large_pages(model)
        on_cpu = model.embedding.weight.device.type == "cpu"
        self._options = {"cpp_wrapper": True} if on_cpu else None  # Python takes as long as a small kernel
        self._through = self._compiled(model.through)
        self._product = self._compiled(project)
        self._noise = self._compiled(gumbel)
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, SHAPES)

    def _compiled(self, function: Callable) -> Callable:
        return torch.compile(function, dynamic=False, options=self._options)

    def __call__(
        self, ids: Int64[Tensor, "b t"], positions: Int64[Tensor, "b t 3"], cache: Cache
    ) -> Float[Tensor, "b t d"]:
        """Hidden states, as `Transformer.forward` gives them."""
        room = self._model.room(ids, cache, multiple=ALIGNED)
        torch._dynamo.mark_dynamic(room.mask, 3)
        for lines in room.lines:
            torch._dynamo.mark_dynamic(lines, 2)
        if ids.numel() <= SUMS:
            return self._through(ids, positions, mask=room.mask, room=room)
        for layer in self._packs:
            if layer.stale:
                layer.renew()
        return self._through_packed(ids, positions, mask=room.mask, room=room)

    @cached_property
    def _packed_model(self) -> Transformer:
        """The model for several rows."""
        return with_packed(self._model, self._model.blocks)

    @cached_property
    def _through_packed(self) -> Callable:
        return self._compiled(self._packed_model.through)

    @cached_property
    def _packs(self) -> list[PackedLinear]:
        return [layer for layer in self._packed_model.modules() if isinstance(layer, PackedLinear)]

    def head(self, hidden: Float[Tensor, "n d"], block: Legal) -> Float[Tensor, "n m"]:
        """Logits, as `Transformer.head` gives them."""
        if not isinstance(block, range) or rounded(len(hidden)) != len(hidden):
            return self._model.head(hidden, block)
        if len(hidden) > SUMS and Packed.helps(self._model.unembedding.weight):
            return packed(self._model.unembedding, block)(hidden).float()
        return self._product(hidden, self._model.unembedding.weight[block.start : block.stop]).float()

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
