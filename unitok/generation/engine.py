"""Continuous batching: requests join and leave the batch at any step; prefill and decoding. Knows ids, not
pixels.

The cache has one row for every guidance branch of every sequence, without gaps: a freed row is overwritten by
the last one. New rows, which are still empty, are at the end, so that each step is at most two forward passes
over contiguous rows: decoding one id (or a few) per old row, and prefill of the new rows' prompts, once per
distinct prompt.
"""

from collections import deque
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from unitok.generation.compiled import CompiledSteps, next_power_of_two
from unitok.generation.requests import DocumentDone, Event, Request
from unitok.generation.sampler import sample_next
from unitok.generation.sampling import gumbel
from unitok.generation.sequence import CacheRow, Sequence
from unitok.models.transformer import Transformer
from unitok.tokens.codec import Codec

INITIAL_CAPACITY = 64
"""Ids per row of the first cache; the capacity doubles when it is full."""


class Engine:
    """Decodes many requests in one batch.

    Args:
        model, codec: the model that generates.
        batch_size: maximum number of sequences at once; further requests wait.
        speculate: image codes that are guessed ahead and verified by one forward pass; 0 for none. It affects
            speed, not the result.
        compile: use compiled decoding steps, which are faster but take half a minute to compile.

    Raises:
        ValueError: `batch_size` is below 1, or `speculate` is negative.
    """

    def __init__(
        self,
        model: Transformer,
        codec: Codec,
        *,
        batch_size: int = 32,
        speculate: int = 0,
        compile: bool = False,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if speculate < 0:
            raise ValueError(f"speculate must be at least 0, got {speculate}")
        self.model, self.codec, self.batch_size, self.speculate = model, codec, batch_size, speculate
        self.forwards = 0
        self._submitted = 0
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._cache_rows: list[CacheRow] = []
        self._old_rows = 0
        self._steps = CompiledSteps(model) if compile else None
        self._head, self._noise = (self._steps.head, self._steps.noise) if compile else (model.head, gumbel)
        with torch.inference_mode():
            self._cache = model.new_cache(1, INITIAL_CAPACITY)

    def submit(self, request: Request) -> int:
        """Add a request; returns the number that its events carry. May be called between any two steps.

        Raises:
            ValueError: the target is unknown, or the prompt leaves no space within the model's `max_length`.
        """
        sequence = Sequence(self._submitted, request, self.codec, max_length=self.model.config.max_length)
        self._waiting.append(sequence)
        self._submitted += 1
        return sequence.number

    def cancel(self, number: int) -> DocumentDone | None:
        """Drop a request; returns its last event, or None where it is done already."""
        for sequences in (self._waiting, self._running):
            for sequence in [sequence for sequence in sequences if sequence.number == number]:
                sequences.remove(sequence)
                sequence.finish("cancelled")
                return sequence.events[-1]
        return None

    @property
    def idle(self) -> bool:
        """Whether no request is running or waiting."""
        return not (self._running or self._waiting)

    def run(self) -> Iterator[Event]:
        """Step until all requests are done."""
        while not self.idle:
            yield from self.step()

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Admit waiting requests, then decode one id or more of every sequence; returns the events."""
        admitted = []
        while self._waiting and len(self._running) + len(admitted) < self.batch_size:
            admitted.append(self._waiting.popleft())
            admitted[-1].start()
        events = _drain_events(admitted)
        self._running += [sequence for sequence in admitted if sequence.finished is None]
        self._assign_cache_rows()
        if self._running:
            hidden = self._forward_all()
            next_ids = [sequence.next_ids() for sequence in self._running]
            flat = [next_id for of_sequence in next_ids for next_id in of_sequence]
            sampled = iter(sample_next(self._head, hidden, flat, noise=self._noise))
            for sequence, of_sequence in zip(self._running, next_ids, strict=True):
                sequence.accept([next(sampled) for _ in of_sequence], speculate=self.speculate)
            events += _drain_events(self._running)
            self._running = [sequence for sequence in self._running if sequence.finished is None]
        return events

    def _assign_cache_rows(self) -> None:
        """Overwrite freed rows by the last ones, then append the rows of new branches."""
        for index in reversed([i for i, row in enumerate(self._cache_rows) if row.freed]):
            last = self._cache_rows.pop()
            if index < len(self._cache_rows):
                self._cache.copy_row(len(self._cache_rows), index, tokens=last.length)
                self._cache_rows[index] = last
        self._old_rows = len(self._cache_rows)
        for sequence in self._running:
            self._cache_rows += sequence.new_cache_rows
            sequence.new_cache_rows = []

    # -- forward passes

    def _forward_all(self) -> Float[Tensor, "n d"]:
        """Returns hidden states after all ids that are not in the cache yet."""
        old, new = self._cache_rows[: self._old_rows], self._cache_rows[self._old_rows :]
        longest = max(row.next_length for row in self._cache_rows)
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
        by_prompt: dict[tuple[int, ...], list[CacheRow]] = {}
        for row in rows:
            by_prompt.setdefault(tuple(row.ids), []).append(row)
        leaders = [same_prompt[0] for same_prompt in by_prompt.values()]
        sources = [list(by_prompt).index(tuple(row.ids)) for row in rows]
        hidden = self._forward(self._old_rows, leaders, offset=offset)
        if len(leaders) < len(rows):
            self._cache.copy_rows(self._old_rows, sources, tokens=max(row.length for row in leaders))
        for leader, same_prompt in zip(leaders, by_prompt.values(), strict=True):
            for row in same_prompt[1:]:
                row.length, row.last_hidden = leader.length, leader.last_hidden
                row.ids, row.positions = [], []
        return hidden

    def _forward(self, start: int, rows: list[CacheRow], *, offset: int) -> Float[Tensor, "n d"]:
        """Run the pending ids and guesses of the cache rows from `start` on.

        `offset` is the index of the first hidden state among all of this step.
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
        )
        self.forwards += 1
        for i, row in enumerate(rows):
            row.last_hidden = offset + i * width + len(row.ids) - 1
            row.length += len(row.ids)
            row.ids, row.positions = [], []
        return hidden.flatten(0, 1)

    def _ensure_capacity(self, length: int) -> None:
        """Enlarge the cache, at least twofold, where it has too few rows or slots."""
        rows, capacity, needed = self._cache.rows, self._cache.capacity, len(self._cache_rows)
        if self._steps is not None:
            needed = next_power_of_two(needed)
            length = next_power_of_two(max(length, *(sequence.expected_length for sequence in self._running)))
        if needed > rows or length > capacity:
            self._cache = self._cache.enlarge(
                rows if needed <= rows else max(2 * rows, needed),
                capacity if length <= capacity else max(2 * capacity, length),
            )


def _drain_events(sequences: list[Sequence]) -> list[Event]:
    """Take the pending events of the sequences."""
    events = [event for sequence in sequences for event in sequence.events]
    for sequence in sequences:
        sequence.events = []
    return events
