"""A preallocated key-value cache. Knows slots and lengths, not ids.

Rows may have different lengths: each row's new tokens go to its own next slots, and a query sees the slots
up to its own. Right-padded prompts are therefore prefilled in one batch and then cut back with `truncate`.
"""

from collections.abc import Sequence
from copy import copy

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


class Cache:
    """Keys and values of `rows` sequences of up to `length` tokens, for every layer."""

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
    ):
        shape = (layers, rows, length, kv_heads, head_width)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.extent = 0
        self.slots: Int64[Tensor, "b t"] | None = None

    @property
    def rows(self) -> int:
        """Sequences that it holds."""
        return self.keys.shape[1]

    @property
    def capacity(self) -> int:
        """Tokens a row can hold."""
        return self.keys.shape[2]

    def reserve(self, tokens: int) -> Bool[Tensor, "b 1 t s"]:
        """Claim the next `tokens` slots of every row; returns the mask of the slots that each query sees.

        Raises:
            ValueError: a row would exceed the capacity.
        """
        if self.extent + tokens > self.capacity:
            raise ValueError(
                f"the cache holds {self.capacity} tokens a row; {self.extent} + {tokens} do not fit"
            )
        steps = torch.arange(tokens, device=self.lengths.device)
        self.slots = self.lengths[:, None] + steps
        self.lengths = self.lengths + tokens
        self.extent += tokens
        seen = torch.arange(self.extent, device=self.lengths.device)
        return (seen <= self.slots[:, :, None]).unsqueeze(1)

    def write(
        self, layer: int, keys: Float[Tensor, "b h t w"], values: Float[Tensor, "b h t w"]
    ) -> tuple[Float[Tensor, "b h s w"], Float[Tensor, "b h s w"]]:
        """Store a layer's new keys and values in the reserved slots; returns all that the rows hold."""
        rows = torch.arange(keys.shape[0], device=keys.device)[:, None]
        self.keys[layer][rows, self.slots] = keys.transpose(1, 2).to(self.keys.dtype)
        self.values[layer][rows, self.slots] = values.transpose(1, 2).to(self.values.dtype)
        held = slice(0, self.extent)
        return self.keys[layer, :, held].transpose(1, 2), self.values[layer, :, held].transpose(1, 2)

    def truncate(self, lengths: Int64[Tensor, " b"]) -> None:
        """Forget everything after each row's first `lengths` tokens."""
        self.lengths = lengths.to(self.lengths.device)
        self.extent = int(lengths.max())

    def part(self, start: int, lengths: Sequence[int]) -> "Cache":
        """The rows from `start` on, as many as there are `lengths`, that hold so many tokens; it writes into
        this cache, whose own lengths stay."""
        part, rows = copy(self), slice(start, start + len(lengths))
        part.keys, part.values = self.keys[:, rows], self.values[:, rows]
        part.lengths = torch.tensor(lengths, dtype=torch.long, device=self.lengths.device)
        part.extent = max(lengths, default=0)
        return part

    def move(self, source: int, target: int, *, tokens: int) -> None:
        """Copy a row's first tokens over another's."""
        for held in (self.keys, self.values):
            held[:, target, :tokens] = held[:, source, :tokens]

    def spread(self, start: int, sources: Sequence[int], *, tokens: int) -> None:
        """Give row `start + i` the first tokens of row `start + sources[i]`, all at once."""
        index = torch.tensor(sources, device=self.lengths.device)
        for held in (self.keys, self.values):
            rows = held[:, start : start + len(sources), :tokens]
            rows.copy_(rows[:, index])

    def grown(self, rows: int, length: int) -> "Cache":
        """A larger cache with all that this one holds."""
        new = copy(self)
        new.lengths = torch.nn.functional.pad(self.lengths, (0, rows - len(self.lengths)))
        for name in ("keys", "values"):
            held = getattr(self, name)
            more = held.new_zeros(len(held), rows, length, *held.shape[3:])
            more[:, : held.shape[1], : held.shape[2]] = held
            setattr(new, name, more)
        return new
