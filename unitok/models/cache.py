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
        self.held = torch.zeros(layers, rows, length, 2 * kv_heads, head_width, device=device, dtype=dtype)
        self.kv_heads = kv_heads
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.extent = 0
        self.slots: Int64[Tensor, " bt"] | None = None

    @property
    def rows(self) -> int:
        """Sequences that it holds."""
        return self.held.shape[1]

    @property
    def capacity(self) -> int:
        """Tokens a row can hold."""
        return self.held.shape[2]

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
        slots = self.lengths[:, None] + steps
        rows = torch.arange(len(self.lengths), device=self.lengths.device)[:, None]
        self.slots = (rows * self.capacity + slots).flatten()
        self.lengths = self.lengths + tokens
        self.extent += tokens
        seen = torch.arange(self.extent, device=self.lengths.device)
        return (seen <= slots[:, :, None]).unsqueeze(1)

    def write(
        self, layer: int, new: Float[Tensor, "b h t w"]
    ) -> tuple[Float[Tensor, "b g s w"], Float[Tensor, "b g s w"]]:
        """Store a layer's new keys, and its new values after them, in the reserved slots; returns all keys
        and all values that the rows hold."""
        lines = self.held[layer]
        lines.view(-1, *lines.shape[2:]).index_copy_(
            0, self.slots, new.transpose(1, 2).flatten(0, 1).to(lines.dtype)
        )
        keys, values = lines[:, : self.extent].transpose(1, 2).split(self.kv_heads, dim=1)
        return keys, values

    def truncate(self, lengths: Int64[Tensor, " b"]) -> None:
        """Forget everything after each row's first `lengths` tokens."""
        self.lengths = lengths.to(self.lengths.device)
        self.extent = int(lengths.max())

    def part(self, start: int, lengths: Sequence[int]) -> "Cache":
        """The rows from `start` on, as many as there are `lengths`, that hold so many tokens; it writes into
        this cache, whose own lengths stay."""
        part, rows = copy(self), slice(start, start + len(lengths))
        part.held = self.held[:, rows]
        part.lengths = torch.tensor(lengths, dtype=torch.long, device=self.lengths.device)
        part.extent = max(lengths, default=0)
        return part

    def move(self, source: int, target: int, *, tokens: int) -> None:
        """Copy a row's first tokens over another's."""
        self.held[:, target, :tokens] = self.held[:, source, :tokens]

    def spread(self, start: int, sources: Sequence[int], *, tokens: int) -> None:
        """Give row `start + i` the first tokens of row `start + sources[i]`, all at once."""
        index = torch.tensor(sources, device=self.lengths.device)
        rows = self.held[:, start : start + len(sources), :tokens]
        rows.copy_(rows[:, index])

    def grown(self, rows: int, length: int) -> "Cache":
        """A larger cache with all that this one holds."""
        new = copy(self)
        new.lengths = torch.nn.functional.pad(self.lengths, (0, rows - len(self.lengths)))
        new.held = self.held.new_zeros(len(self.held), rows, length, *self.held.shape[3:])
        new.held[:, : self.rows, : self.capacity] = self.held
        return new
