"""A model's steps, compiled: each of the few shapes that decoding takes, once. Knows tensors, no documents.

A compilation takes half a minute, and seconds where its result is on disk from an earlier run; so shapes are
rounded up to powers of two: rows, and the tokens that the cache holds.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.models.cache import Cache
from unitok.models.transformer import Transformer

SHAPES = 64
"""Most shapes that are compiled; what comes later runs as it is."""


class CompiledSteps:
    """Reads the next tokens of many rows as the model does, by compiled code."""

    def __init__(self, model: Transformer):
        self._model, self._through = model, torch.compile(model.through, dynamic=False)
        self._shapes: set[tuple[int, ...]] = set()

    def __call__(
        self, ids: Int64[Tensor, "b t"], positions: Int64[Tensor, "b t 3"], cache: Cache
    ) -> Float[Tensor, "b t d"]:
        """Hidden states, as `Transformer.forward` gives them."""
        room = self._model.room(ids, cache, whole=True)
        shape = (*ids.shape, cache.capacity)
        if shape in self._shapes:
            return self._through(ids, positions, mask=room.mask, room=room)
        self._shapes.add(shape)
        with torch._dynamo.config.patch(recompile_limit=SHAPES):
            return self._through(ids, positions, mask=room.mask, room=room)


def rounded(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()
