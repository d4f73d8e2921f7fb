"""Continuous batching: requests join and leave the batch at any step; prefill and decoding. Knows ids, not
pixels.

The cache has one line for every branch of every row, without gaps: a line that is freed is filled with the
last one. Lines that have read nothing yet are at the end, so that each step is at most two forward passes
over neighbouring lines: one id (or a few) of every old line, and the prompts of the new ones, each different
prompt once.
"""

from collections import deque
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from unitok.generation.compiled import CompiledSteps, rounded
from unitok.generation.requests import DocumentDone, Event, Request
from unitok.generation.sampler import choose
from unitok.generation.sampling import gumbel
from unitok.generation.sequence import CacheRow, Sequence
from unitok.models.transformer import Transformer
from unitok.tokens.codec import Codec

SMALLEST = 64
"""Ids of a line of the first cache; it doubles when it is full."""


class Engine:
    """Writes the documents of many requests together.

    Args:
        model, codec: who writes.
        rows: most documents at once; the others wait.
        speculate: codes of an image that are guessed ahead and verified by one forward pass; 0 for none. What
            is written does not depend on it.
        compile: steps run by compiled code: half a minute at first, faster then.

    Raises:
        ValueError: no rows, or a negative number of guesses.
    """

    def __init__(
        self, model: Transformer, codec: Codec, *, rows: int = 32, speculate: int = 0, compile: bool = False
    ):
        if rows < 1:
            raise ValueError(f"batch_size is 1 or more, not {rows}")
        if speculate < 0:
            raise ValueError(f"speculate is 0 or more, not {speculate}")
        self.model, self.codec, self.rows, self.speculate = model, codec, rows, speculate
        self.forwards = 0
        self._submitted = 0
        self._waiting: deque[Sequence] = deque()
        self._rows: list[Sequence] = []
        self._lanes: list[CacheRow] = []
        self._known = 0
        self._steps = CompiledSteps(model) if compile else None
        self._head, self._noise = (self._steps.head, self._steps.noise) if compile else (model.head, gumbel)
        with torch.inference_mode():
            self._cache = model.new_cache(1, SMALLEST)

    def submit(self, request: Request) -> int:
        """Take a request; returns the number by which its events are told. May be called between any steps.

        Raises:
            ValueError: an unknown target, or a prompt that leaves no room within the model's `max_length`.
        """
        row = Sequence(self._submitted, request, self.codec, length=self.model.config.max_length)
        self._waiting.append(row)
        self._submitted += 1
        return row.number

    def cancel(self, number: int) -> DocumentDone | None:
        """Drop a request; returns its last event, None where it is done already."""
        for rows in (self._waiting, self._rows):
            for row in [row for row in rows if row.number == number]:
                rows.remove(row)
                row.leave("cancelled")
                return row.events[-1]
        return None

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return not (self._rows or self._waiting)

    def run(self) -> Iterator[Event]:
        """Steps until nothing is left to do."""
        while not self.idle:
            yield from self.step()

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Let waiting rows in and write the next id, or some, of every row; returns what happened."""
        entered = []
        while self._waiting and len(self._rows) + len(entered) < self.rows:
            entered.append(self._waiting.popleft())
            entered[-1].start()
        events = self._told(entered)
        self._rows += [row for row in entered if row.finished is None]
        self._arrange()
        if self._rows:
            hidden = self._read()
            asks = [row.asks() for row in self._rows]
            wanted = [ask for some in asks for ask in some]
            drawn = iter(choose(self._head, hidden, wanted, noise=self._noise))
            for row, some in zip(self._rows, asks, strict=True):
                row.take([next(drawn) for _ in some], speculate=self.speculate)
            events += self._told(self._rows)
            self._rows = [row for row in self._rows if row.finished is None]
        return events

    def _told(self, rows: list[Sequence]) -> list[Event]:
        """What happened to rows since they were last asked."""
        events = [event for row in rows for event in row.events]
        for row in rows:
            row.events = []
        return events

    def _arrange(self) -> None:
        """Fill the lines of what is gone with the last ones, then give new branches the next ones."""
        for line in reversed([i for i, lane in enumerate(self._lanes) if lane.gone]):
            last = self._lanes.pop()
            if line < len(self._lanes):
                self._cache.move(len(self._lanes), line, tokens=last.held)
                self._lanes[line] = last
        self._known = len(self._lanes)
        for row in self._rows:
            self._lanes += row.fresh
            row.fresh = []

    # -- forward passes

    def _read(self) -> Float[Tensor, "n d"]:
        """Hidden states after all ids that the lines have not read."""
        old, new = self._lanes[: self._known], self._lanes[self._known :]
        longest = max(len(lane.ids) + len(lane.row.guesses.ids) + lane.held for lane in self._lanes)
        padded = max((lane.held for lane in old), default=0) + max(
            (len(lane.ids) + len(lane.row.guesses.ids) for lane in old), default=0
        )
        self._make_room(max(longest, padded))
        hidden = []
        if old:
            hidden.append(self._forward(0, old, first=0))
        if new:
            hidden.append(self._prefill(new, first=len(hidden[0]) if hidden else 0))
        return torch.cat(hidden) if len(hidden) > 1 else hidden[0]

    def _prefill(self, lanes: list[CacheRow], *, first: int) -> Float[Tensor, "n d"]:
        """Read each different prompt once, and copy what was read to the lines that share it."""
        prompts: dict[tuple[int, ...], list[CacheRow]] = {}
        for lane in lanes:
            prompts.setdefault(tuple(lane.ids), []).append(lane)
        leaders = [alike[0] for alike in prompts.values()]
        sources = [list(prompts).index(tuple(lane.ids)) for lane in lanes]
        hidden = self._forward(self._known, leaders, first=first)
        if len(leaders) < len(lanes):
            self._cache.spread(self._known, sources, tokens=max(lane.held for lane in leaders))
        for leader, alike in zip(leaders, prompts.values(), strict=True):
            for lane in alike[1:]:
                lane.held, lane.last, lane.ids, lane.positions = leader.held, leader.last, [], []
        return hidden

    def _forward(self, start: int, lanes: list[CacheRow], *, first: int) -> Float[Tensor, "n d"]:
        """Read the new ids and guesses of lines from `start` on; they are the `first` and next results."""
        ids = [lane.ids + lane.row.guesses.ids for lane in lanes]
        places = [lane.positions + [lane.shifted(p) for p in lane.row.guesses.positions] for lane in lanes]
        width, device = max(map(len, ids)), self.model.embedding.weight.device
        run = (
            self._steps if self._steps and lanes[0].held and width in (1, 1 + self.speculate) else self.model
        )
        idle = rounded(len(lanes)) - len(lanes) if run is self._steps else 0
        padded = [row + [0] * (width - len(row)) for row in [*ids, *[[]] * idle]]
        positions = [row + [(0, 0, 0)] * (width - len(row)) for row in [*places, *[[]] * idle]]
        hidden = run(
            torch.tensor(padded, device=device),
            torch.tensor(positions, device=device),
            cache=self._cache.part(start, [lane.held for lane in lanes] + [0] * idle),
        )
        self.forwards += 1
        for i, lane in enumerate(lanes):
            lane.last = first + i * width + len(lane.ids) - 1
            lane.held += len(lane.ids)
            lane.ids, lane.positions = [], []
        return hidden.flatten(0, 1)

    def _make_room(self, length: int) -> None:
        """Enlarge the cache where its lines are too few or too short, at least twofold."""
        count, rows, held = len(self._lanes), self._cache.rows, self._cache.capacity
        if self._steps is not None:
            count, length = rounded(count), rounded(max(length, *(row.reach for row in self._rows)))
        if count > rows or length > held:
            self._cache = self._cache.grown(
                rows if count <= rows else max(2 * rows, count),
                held if length <= held else max(2 * held, length),
            )
