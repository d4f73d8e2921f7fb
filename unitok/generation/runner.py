"""Runs the model on the pending ids of every sequence at once: prefill and decoding. Owns the KV cache; knows
ids, not when a request joins.

The cache has one row for every guidance branch of every sequence, without gaps: a freed row is overwritten by
the last one. New rows, which are still empty, are at the end, so that each step is at most two forward passes
over contiguous rows: decoding one id (or a few) per old row, and prefill of the new rows' prompts, once per
distinct prompt.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unitok.generation.compiled import CompiledSteps, next_power_of_two
from unitok.generation.sampler import Head
from unitok.generation.sampling import Noise, gumbel
from unitok.generation.sequence import CacheRow, Sequence
from unitok.models.transformer import Transformer
from unitok.tokens.layout import join_tiles

INITIAL_CAPACITY = 64
"""Ids per row of the first cache; the capacity doubles when it is full."""


class Runner:
    """Forward passes over the cache rows of running sequences.

    Args:
        model: the transformer.
        speculate: maximum number of guesses per sequence.
        compile: use compiled decoding steps.
    """

    def __init__(self, model: Transformer, *, speculate: int = 0, compile: bool = False):
        self.model, self.speculate = model, speculate
        self._vectors_from = model.config.vocab_size
        self.forwards = 0
        self._rows: list[CacheRow] = []
        self._old_rows = 0
        self._steps = CompiledSteps(model) if compile else None
        self.head: Head = self._steps.head if self._steps else model.head
        self.noise: Noise = self._steps.noise if self._steps else gumbel
        with torch.inference_mode():
            self._cache = model.new_cache(1, INITIAL_CAPACITY)

    def assign_rows(self, sequences: Iterable[Sequence]) -> None:
        """Overwrite freed rows by the last ones, then append the rows of the sequences' new branches."""
        for index in reversed([i for i, row in enumerate(self._rows) if row.freed]):
            last = self._rows.pop()
            if index < len(self._rows):
                self._cache.copy_row(len(self._rows), index, tokens=last.length)
                self._rows[index] = last
        self._old_rows = len(self._rows)
        for sequence in sequences:
            self._rows += sequence.new_cache_rows
            sequence.new_cache_rows = []

    def forward(self) -> Float[Tensor, "n d"]:
        """Returns hidden states after all ids that are not in the cache yet."""
        old, new = self._rows[: self._old_rows], self._rows[self._old_rows :]
        longest = max(row.next_length for row in self._rows)
        padded = max((row.length for row in old), default=0) + max(
            (row.next_length - row.length for row in old), default=0
        )
        self._ensure_capacity(max(longest, padded))
        hidden = []
        if old:
            hidden.append(self._forward(0, old, offset=0))
        if new:
            hidden.append(self._prefill(new, offset=len(hidden[0]) if hidden else 0))
        return torch.cat(hidden) if len(hidden) > 1 else hidden[0]

    def _prefill(self, rows: list[CacheRow], *, offset: int) -> Float[Tensor, "n d"]:
        """Run each distinct prompt once, then copy its keys and values to the rows that share it."""
        by_prompt: dict[tuple, list[CacheRow]] = {}
        for row in rows:
            by_prompt.setdefault(row.prompt, []).append(row)
        leaders = [same_prompt[0] for same_prompt in by_prompt.values()]
        sources = [list(by_prompt).index(row.prompt) for row in rows]
        shown = self._number_vectors(leaders)
        if self.model.number_parts is not None:
            shown["prefix"] = self._prefixes(leaders)
        hidden = self._forward(self._old_rows, leaders, offset=offset, **shown)
        if len(leaders) < len(rows):
            self._cache.copy_rows(self._old_rows, sources, tokens=max(row.length for row in leaders))
        for leader, same_prompt in zip(leaders, by_prompt.values(), strict=True):
            for row in same_prompt[1:]:
                row.length, row.last_hidden = leader.length, leader.last_hidden
                row.ids, row.positions, row.features = [], [], ()
        return hidden

    def _number_vectors(self, rows: list[CacheRow]) -> dict[str, Tensor]:
        """Number the vectors of rows as those of one table; returns the tiles to make it of, if any."""
        tiles, first, start = join_tiles([one for row in rows for one in row.features]), self._vectors_from, 0
        for row in rows:
            if start and row.features:
                row.ids = [token + start if token >= first else token for token in row.ids]
            start += sum(one.count for one in row.features)
            row.features = ()
        return {} if tiles is None else {"tiles": tiles.to(self.model.embedding.weight.device)}

    def _prefixes(self, rows: list[CacheRow]) -> Bool[Tensor, "b t"]:
        """Which pending ids of new rows are their prompts'."""
        places = torch.arange(max(len(row.ids) for row in rows))
        lengths = torch.tensor([row.prefix for row in rows])
        return (places < lengths[:, None]).to(self.model.embedding.weight.device)

    def _forward(
        self, start: int, rows: list[CacheRow], *, offset: int, **shown: Tensor
    ) -> Float[Tensor, "n d"]:
        """Run the pending ids and guesses of the cache rows from `start` on.

        `offset` is the index of the first hidden state among all of this step; `shown` are the tiles and the
        prefixes of what new rows are shown.
        """
        ids = [row.ids + row.sequence.guesses.ids for row in rows]
        positions = [
            row.positions + list(map(row.shift_position, row.sequence.guesses.positions)) for row in rows
        ]
        width, device = max(map(len, ids)), self.model.embedding.weight.device
        run = (
            self._steps if self._steps and rows[0].length and width in (1, 1 + self.speculate) else self.model
        )
        unused = next_power_of_two(len(rows)) - len(rows) if run is self._steps else 0
        padded_ids = [row + [0] * (width - len(row)) for row in [*ids, *[[]] * unused]]
        padded_positions = [row + [(0, 0, 0)] * (width - len(row)) for row in [*positions, *[[]] * unused]]
        hidden = run(
            torch.tensor(padded_ids, device=device),
            torch.tensor(padded_positions, device=device),
            cache=self._cache.slice_rows(start, [row.length for row in rows] + [0] * unused),
            **shown,
        )
        self.forwards += 1
        for i, row in enumerate(rows):
            row.last_hidden = offset + i * width + len(row.ids) - 1
            row.length += len(row.ids)
            row.ids, row.positions = [], []
        return hidden.flatten(0, 1)

    def _ensure_capacity(self, length: int) -> None:
        """Enlarge the cache, at least twofold, where it has too few rows or slots."""
        rows, capacity, needed = self._cache.rows, self._cache.capacity, len(self._rows)
        images = self._images_needed()
        if self._steps is not None:
            needed = next_power_of_two(needed)
            length = next_power_of_two(max(length, *(row.sequence.expected_length for row in self._rows)))
        if needed > rows or length > capacity or images:
            self._cache = self._cache.enlarge(
                rows if needed <= rows else max(2 * rows, needed),
                capacity if length <= capacity else max(2 * capacity, length),
                images=images,
            )

    def _images_needed(self) -> int:
        """Images per row for which the cache must grow, where cross-attention reads them; else 0."""
        seen = self._cache.images_seen
        if seen is None:
            return 0
        most = max(len(row.features) for row in self._rows)
        return next_power_of_two(most) if most > seen.images else 0
