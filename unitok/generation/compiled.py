"""Decoding steps compiled by torch.compile, once for each of few shapes. Knows tensors, no documents.

A compilation takes half a minute, or seconds where its result is on disk from an earlier run. To keep the
number of shapes small, batch sizes are rounded up to powers of two, and the number of tokens in the cache is
a dynamic dimension.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.generation.sampling import gumbel
from unitok.models.cpu.huge_pages import to_huge_pages
from unitok.models.cpu.linear import SUMS, project
from unitok.models.cpu.packed_weights import PrepackedLinear, PrepackedWeight, prepacked, with_prepacked
from unitok.models.kv_cache import Cache
from unitok.models.transformer import Transformer
from unitok.tokens.cursor import Legal

ALIGNMENT = 16
"""Masks cover a multiple of this many slots, as GPU kernels require."""
MAX_SHAPES = 64
"""Maximum number of compiled shapes per function; further ones run uncompiled."""


class CompiledSteps:
    """Compiled versions of the model's forward pass, its head and the noise."""

    def __init__(self, model: Transformer):
        self._model = model
        to_huge_pages(model)
        on_cpu = model.embedding.weight.device.type == "cpu"
        self._options = {"cpp_wrapper": True} if on_cpu else None  # Python takes as long as a small kernel
        self._hidden_states = self._compile(model.hidden_states)
        self._project = self._compile(project)
        self._gumbel = self._compile(gumbel)
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MAX_SHAPES)

    def _compile(self, function: Callable) -> Callable:
        return torch.compile(function, dynamic=False, options=self._options)

    def __call__(
        self, ids: Int64[Tensor, "b t"], positions: Int64[Tensor, "b t 3"], cache: Cache
    ) -> Float[Tensor, "b t d"]:
        """Returns the hidden states of `Transformer.forward`."""
        view = self._model.reserve(ids, cache, multiple=ALIGNMENT)
        torch._dynamo.mark_dynamic(view.mask, 3)
        for buffer in view.buffers:
            torch._dynamo.mark_dynamic(buffer, 2)
        if ids.numel() <= SUMS:
            return self._hidden_states(ids, positions, mask=view.mask, view=view)
        for layer in self._prepacked_layers:
            if layer.stale:
                layer.renew()
        return self._prepacked_hidden_states(ids, positions, mask=view.mask, view=view)

    @cached_property
    def _prepacked_model(self) -> Transformer:
        """The model with prepacked weights, for several rows."""
        return with_prepacked(self._model, self._model.blocks)

    @cached_property
    def _prepacked_hidden_states(self) -> Callable:
        return self._compile(self._prepacked_model.hidden_states)

    @cached_property
    def _prepacked_layers(self) -> list[PrepackedLinear]:
        return [layer for layer in self._prepacked_model.modules() if isinstance(layer, PrepackedLinear)]

    def head(self, hidden: Float[Tensor, "n d"], block: Legal) -> Float[Tensor, "n m"]:
        """Returns the logits of `Transformer.head`."""
        if not isinstance(block, range) or next_power_of_two(len(hidden)) != len(hidden):
            return self._model.head(hidden, block)
        if len(hidden) > SUMS and PrepackedWeight.helps(self._model.unembedding.weight):
            return prepacked(self._model.unembedding, block)(hidden).float()
        return self._project(hidden, self._model.unembedding.weight[block.start : block.stop]).float()

    def noise(
        self, keys: Int64[Tensor, " n"], counters: Int64[Tensor, " n"], ids: Int64[Tensor, " m"]
    ) -> Float[Tensor, "n m"]:
        """Returns the noise of `gumbel`."""
        if next_power_of_two(len(keys)) != len(keys):
            return gumbel(keys, counters, ids)
        return self._gumbel(keys, counters, ids)


def next_power_of_two(count: int) -> int:
    """Returns the smallest power of two that is at least `count`."""
    return 1 << (count - 1).bit_length()
