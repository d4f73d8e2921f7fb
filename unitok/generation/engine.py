"""Continuous batching: requests join and leave the batch at any step. Knows ids, not pixels, and no cache."""

from collections import deque
from collections.abc import Iterator

import torch

from unitok.generation.requests import DocumentDone, Event, Request
from unitok.generation.runner import Runner
from unitok.generation.sampler import sample_next
from unitok.generation.sequence import Sequence
from unitok.models.transformer import Transformer
from unitok.tokens.codec import Codec


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
        self._submitted = 0
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._runner = Runner(model, speculate=speculate, compile=compile)

    def submit(self, request: Request) -> int:
        """Add a request; returns the number that its events carry. May be called between any two steps.

        Raises:
            ValueError: the target is unknown, or the prompt leaves no space within the model's `max_length`.
        """
        sequence = Sequence(self._submitted, request, self.codec, max_length=self.model.sizes.max_length)
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

    @property
    def forwards(self) -> int:
        """Number of forward passes so far."""
        return self._runner.forwards

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
        self._runner.assign_rows(self._running)
        if self._running:
            hidden = self._runner.forward()
            next_ids = [sequence.next_ids() for sequence in self._running]
            flat = [next_id for of_sequence in next_ids for next_id in of_sequence]
            sampled = iter(sample_next(self._runner.head, hidden, flat, noise=self._runner.noise))
            for sequence, of_sequence in zip(self._running, next_ids, strict=True):
                sequence.accept([next(sampled) for _ in of_sequence], speculate=self.speculate)
            events += _drain_events(self._running)
            self._running = [sequence for sequence in self._running if sequence.finished is None]
        return events


def _drain_events(sequences: list[Sequence]) -> list[Event]:
    """Take the pending events of the sequences."""
    events = [event for sequence in sequences for event in sequence.events]
    for sequence in sequences:
        sequence.events = []
    return events
