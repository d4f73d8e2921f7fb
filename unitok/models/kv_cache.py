"""A preallocated KV cache. Knows slots and lengths, not ids.

Rows may have different lengths: each row's new tokens go to its own next slots, and a query sees the slots
up to its own. Right-padded prompts are therefore prefilled in one batch and then cut back with `truncate`.
"""

from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


class CacheView(NamedTuple):
    """Where the next tokens of some rows go, and what they see: all that a forward pass needs of a cache.

    Args:
        lines: keys, and the heads of values after them, of every layer; written in place.
        slots: where each row's new tokens go.
        mask: the slots that each new token sees.
    """

    lines: tuple[Float[Tensor, "b h c w"], ...]
    slots: Int64[Tensor, "b t"]
    mask: Bool[Tensor, "b 1 t s"]

    def write(
        self, layer: int, new: Float[Tensor, "b h t w"]
    ) -> tuple[Float[Tensor, "b g s w"], Float[Tensor, "b g s w"]]:
        """Store a layer's new keys, and its new values after them; returns all keys and all values."""
        lines = self.lines[layer]
        rows = torch.arange(len(self.slots), device=self.slots.device)[:, None]
        # as compiled code, `scatter_` would copy all lines, twice
        lines[rows, :, self.slots] = new.transpose(1, 2).to(lines.dtype)
        return lines[:, :, : self.mask.shape[-1]].chunk(2, dim=1)


class Cache:
    """Keys and values of `rows` sequences of up to `length` tokens, for every layer; with `images`, also
    which image each token belongs to."""

    def __init__(
        self,
        *,
        layers: int,
        rows: int,
        length: int,
        kv_heads: int,
        head_width: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        images: bool = False,
    ):
        self.held = [
            torch.zeros(rows, 2 * kv_heads, length, head_width, device=device, dtype=dtype)
            for _ in range(layers)
        ]
        self.layers = layers
        if images:
            self.held.append(torch.zeros(rows, 1, length, device=device, dtype=torch.long))
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.extent = 0

    @property
    def rows(self) -> int:
        """Sequences that it holds."""
        return self.held[0].shape[0]

    @property
    def capacity(self) -> int:
        """Tokens a row can hold."""
        return self.held[0].shape[2]

    def reserve(self, tokens: int, *, multiple: int = 1) -> CacheView:
        """Claim the next `tokens` slots of every row.

        Args:
            multiple: the mask has so many slots, or twice as many, and so on, those too that nobody holds.

        Raises:
            ValueError: a row would exceed the capacity.
        """
        if self.extent + tokens > self.capacity:
            raise ValueError(
                f"the cache holds {self.capacity} tokens a row; {self.extent} + {tokens} do not fit"
            )
        slots = self.lengths[:, None] + torch.arange(tokens, device=self.lengths.device)
        self.lengths = self.lengths + tokens
        self.extent += tokens
        seen = min(self.capacity, -(-self.extent // multiple) * multiple)
        places = torch.arange(seen, device=self.lengths.device)
        return CacheView(tuple(self.held[: self.layers]), slots, (places <= slots[:, :, None]).unsqueeze(1))

    @property
    def image_numbers(self) -> Int64[Tensor, "b s"]:
        """Which image each slot's token belongs to, 0 for none; of slots that are not held, anything."""
        return self.held[self.layers][:, 0]

    def images_before(self) -> Int64[Tensor, " b"]:
        """Images of each row so far."""
        held = torch.arange(self.capacity, device=self.lengths.device) < self.lengths[:, None]
        return self.image_numbers.where(held, 0).amax(1)

    def truncate(self, lengths: Int64[Tensor, " b"]) -> None:
        """Forget everything after each row's first `lengths` tokens."""
        self.lengths = lengths.to(self.lengths.device)
        self.extent = int(lengths.max())

    def part(self, start: int, lengths: Sequence[int]) -> "Cache":
        """The rows from `start` on, as many as there are `lengths`, that hold so many tokens; it writes into
        this cache, whose own lengths stay."""
        part, rows = copy(self), slice(start, start + len(lengths))
        part.held = [lines[rows] for lines in self.held]
        part.lengths = torch.tensor(lengths, dtype=torch.long, device=self.lengths.device)
        part.extent = max(lengths, default=0)
        return part

    def move(self, source: int, target: int, *, tokens: int) -> None:
        """Copy a row's first tokens over another's."""
        for lines in self.held:
            lines[target, :, :tokens] = lines[source, :, :tokens]

    def spread(self, start: int, sources: Sequence[int], *, tokens: int) -> None:
        """Give row `start + i` the first tokens of row `start + sources[i]`, all at once."""
        index = torch.tensor(sources, device=self.lengths.device)
        for lines in self.held:
            rows = lines[start : start + len(sources), :, :tokens]
            rows.copy_(rows[index])

    def grown(self, rows: int, length: int) -> "Cache":
        """A larger cache with all that this one holds."""
        new = copy(self)
        new.lengths = torch.nn.functional.pad(self.lengths, (0, rows - len(self.lengths)))
        new.held = [lines.new_zeros(rows, lines.shape[1], length, *lines.shape[3:]) for lines in self.held]
        for larger, lines in zip(new.held, self.held, strict=True):
            larger[: self.rows, :, : self.capacity] = lines
        return new
