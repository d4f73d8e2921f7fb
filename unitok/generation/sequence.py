"""A document being decoded: legal ids, cache rows, and speculative decoding by Jacobi iteration.

Knows no model: it states which ids to sample next and accepts the samples. Inside an image it may guess the
next codes, so that one forward pass verifies several: with the noise of each place fixed, a guess that equals
the sample of its own place is what plain sampling would have produced (Jacobi decoding, arXiv:2305.10427; for
images arXiv:2410.01699, there with another acceptance test).
"""

from dataclasses import dataclass, field
from itertools import pairwise

import torch

from unitok.document import Codes, Features, Tokens, digest_of
from unitok.generation.guidance import Branch, guidance_branches
from unitok.generation.requests import DocumentDone, Event, Reason, Request, SegmentDone, SegmentProgress
from unitok.generation.sampler import NextId
from unitok.generation.sampling import Sampling, noise_key
from unitok.tokens.codec import Codec
from unitok.tokens.cursor import Legal, Position


@dataclass(eq=False)
class CacheRow:
    """A row of the cache: one guidance branch of a sequence, with the ids that are not in the cache yet.

    `shift` is the offset of its clock from the first branch's, `length` the number of ids in the cache,
    `last_hidden` the index of the hidden state of the last one. Pending ids above the vocabulary are vectors
    of `features`. The first `prefix` ids are those of the prompt.
    """

    sequence: "Sequence"
    ids: list[int]
    positions: list[Position]
    weight: float = 1.0
    shift: int = 0
    length: int = 0
    last_hidden: int = 0
    freed: bool = False
    features: tuple[Features, ...] = ()
    prefix: int = 0

    @classmethod
    def of_tokens(cls, sequence: "Sequence", tokens: Tokens, **options) -> "CacheRow":
        """An empty row with all of `tokens` pending."""
        positions = list(map(tuple, tokens.positions.tolist()))
        ids = tokens.ids.tolist()
        return cls(sequence, ids, positions, features=tokens.features, prefix=len(ids), **options)

    @property
    def prompt(self) -> tuple[tuple[int, ...], bytes]:
        """What tells the pending ids of a new row from those of others: equal ids may stand for other
        images."""
        return tuple(self.ids), digest_of(self.features)

    @property
    def next_length(self) -> int:
        """Ids in the cache after the next forward pass, including the sequence's guesses."""
        return self.length + len(self.ids) + len(self.sequence.guesses.ids)

    def append(self, token: int, position: Position) -> None:
        """Add a pending id at a position of the first branch."""
        self.ids.append(token)
        self.positions.append(self.shift_position(position))

    def shift_position(self, position: Position) -> Position:
        """Convert a position of the first branch to this branch."""
        if not self.shift:
            return position
        time, row, column = position
        return (time + self.shift, row + self.shift, column + self.shift)


@dataclass
class Guesses:
    """Guessed next ids, their positions, and the legal ids after each."""

    ids: list[int] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    legal: list[Legal] = field(default_factory=list)


class Sequence:
    """A document being decoded.

    Args:
        number: of its request.
        request: prompt and settings.
        codec: the modalities.
        max_length: maximum number of ids of a document.

    Raises:
        ValueError: the target is unknown, or the prompt leaves no space.
    """

    def __init__(self, number: int, request: Request, codec: Codec, *, max_length: int):
        self.number, self.request, self.codec, self.max_length = number, request, codec, max_length
        vocabulary, target = codec.vocabulary, request.target
        if target is not None and target not in codec.modalities:
            raise ValueError(f"target must be one of {', '.join(codec.modalities)}, got {target!r}")
        self._check_length(codec.length(request.prompt) - 1 + (target is not None))
        opened = codec.join(request.prompt, open=target or vocabulary.modalities[0])
        prompt = opened.without_last
        keyed = opened.ids if target else prompt.ids
        self.key = noise_key(request.seed, keyed, request.copy, shown=opened.digest)
        self.cursor = codec.cursor(clock=int(opened.positions[-1, 0]), shapes=request.shapes)
        self.length = len(prompt)
        self.cache_rows = [CacheRow.of_tokens(self, prompt)]
        self.new_cache_rows = list(self.cache_rows)
        self.segments: list[Codes] = []
        self.events: list[Event] = []
        self.finished: Reason | None = None
        self.ids: list[int] = []
        self.guesses = Guesses()
        self._emitted = 0
        self._check_space()

    def _check_length(self, count: int) -> None:
        """Reject an overlong prompt before anything is computed from it."""
        if count > self.max_length:
            raise ValueError(
                f"the prompt is too long: it has {count} ids; the model's max_length is {self.max_length}"
            )

    def _check_space(self) -> None:
        target = self.request.target
        self.expected_length = self.length
        if target is None:
            return
        longest = max(len(branch.tokens) for branch in self._branches(target))
        needed = longest + self._max_segment_ids(target)
        # open-ended segments may end at the model's max_length
        shortens = self.codec.modalities[target].open_ended and self.request.allowed is None
        self.expected_length = min(needed, self.max_length)
        if needed > self.max_length and not (shortens and longest < self.max_length):
            raise ValueError(
                f"the prompt is too long: it has {longest} ids, and with the {target} after it {needed}; "
                f"the model's max_length is {self.max_length}"
            )

    def _max_segment_ids(self, name: str) -> int:
        """Maximum number of ids of a segment of this modality after its begin."""
        if self.request.allowed is not None:
            return self.request.allowed.max_length
        shape = (self.request.shapes or {}).get(name)
        return self.codec.max_segment_ids(name, shape=shape, limit=self.request.sampling[name].max_new_tokens)

    def _branches(self, name: str) -> list[Branch]:
        return guidance_branches(
            self.codec,
            [*self.request.prompt, *self.segments],
            target=name,
            negative=self.request.negative,
            sampling=self.request.sampling[name],
        )

    # -- ids to sample

    @property
    def sampling(self) -> Sampling:
        """Settings for the next id; between segments those of the first modality, text."""
        return self.request.sampling[self.cursor.open or self.codec.vocabulary.modalities[0]]

    def next_ids(self) -> list[NextId]:
        """The next id to sample, and one more after each guess."""
        weights = tuple(row.weight for row in self.cache_rows)
        return [
            NextId(
                legal,
                self.sampling,
                weights,
                tuple(row.last_hidden + i for row in self.cache_rows),
                self.key,
                self.length + i,
            )
            for i, legal in enumerate([self.legal, *self.guesses.legal])
        ]

    @property
    def legal(self) -> Legal:
        """Legal next ids: the target's begin, those that continue an allowed segment, a fixed code, the end
        at the length limit, or else what the grammar allows."""
        open, target = self.cursor.open, self.request.target
        if open is None:
            return self.cursor.legal if target is None else (self.codec.vocabulary.begin(target),)
        if self.request.allowed is not None:
            return self.request.allowed.next_ids(self.ids)
        fixed = self._fixed_id(len(self.ids))
        if fixed is not None:
            return (fixed,)
        if self.codec.modalities[open].open_ended and len(self.ids) >= self._limit:
            return (self.codec.vocabulary.end(open),)
        return self.cursor.legal

    def _fixed_id(self, place: int) -> int | None:
        """The fixed id at a place of the open segment, if any."""
        return self._fixed[place] if place < len(self._fixed) and self._fixed[place] >= 0 else None

    # -- sampled ids

    def start(self) -> None:
        """Append the ids that leave no choice, before the first forward pass."""
        self._append_forced()
        self._emit()

    def accept(self, sampled: list[int], *, speculate: int) -> None:
        """Append samples up to the first wrong guess; those after it are the next guesses."""
        verified = 0
        while verified < len(self.guesses.ids) and sampled[verified] == self.guesses.ids[verified]:
            verified += 1
        for token in sampled[:verified]:
            self._append(token, cached=True)
        if self._fits(sampled[verified]):
            self._append(sampled[verified])
            self._append_forced()
        else:
            self.finished = "budget"
        self._guess(dict(enumerate(sampled[verified + 1 :], len(self.ids))), speculate)
        self._emit()

    def _fits(self, token: int) -> bool:
        """Whether the segment that an id would begin fits within the model's `max_length`."""
        name = self.codec.vocabulary.modality_of_begin(token) if self.cursor.open is None else None
        if name is None:
            return self.length < self.max_length
        space = self.max_length - self.length - 1
        return space > 1 if self.codec.modalities[name].open_ended else space >= self._max_segment_ids(name)

    def _append_forced(self) -> None:
        """Append ids as long as only one is legal."""
        while self.finished is None and len(legal := self.legal) == 1:
            self._append(legal[0])

    def _append(self, token: int, *, cached: bool = False) -> None:
        """Append an id, which is `cached` already if it was a guess."""
        before, position = self.cursor.open, self.cursor.position
        self.cursor.push(token)
        if before is None and self.cursor.open is not None:
            self._begin_segment(self.cursor.open, position)
        for row in self.cache_rows:
            if cached:
                row.length += 1
            else:
                row.append(token, position)
        self.length += 1
        if self.cursor.done:
            self.finished = "ended"
        elif before is not None and self.cursor.open is None:
            self._end_segment(before)
        elif before is not None:
            self.ids.append(token)

    def _begin_segment(self, name: str, position: Position) -> None:
        """Set up a new segment, and add a cache row for each of its other guidance branches."""
        request, self.ids, self._emitted = self.request, [], 0
        self._fixed = _fixed_ids(self.codec, request.fixed) if request.fixed else []
        self._limit = min(self.request.sampling[name].max_new_tokens, self.max_length - self.length - 2)
        conditioned, *others = self._branches(name)
        self.cache_rows[0].weight = conditioned.weight
        for tokens, weight in others:
            shift = int(tokens.positions[-1, 0]) - position[0]
            known = tokens.without_last
            self.cache_rows.append(CacheRow.of_tokens(self, known, weight=weight, shift=shift))
            self.new_cache_rows.append(self.cache_rows[-1])

    def _end_segment(self, name: str) -> None:
        """Emit a complete segment, and free the cache rows of the other branches."""
        self._emit(name)
        vocabulary = self.codec.vocabulary
        ids = [
            vocabulary.document_begin,
            vocabulary.begin(name),
            *self.ids,
            vocabulary.end(name),
            vocabulary.document_end,
        ]
        self.segments += self.codec.split(torch.tensor(ids))
        self.events.append(SegmentDone(self.number, self.segments[-1]))
        for row in self.cache_rows[1:]:
            row.freed = True
        self.cache_rows = self.cache_rows[:1]
        self.new_cache_rows = [row for row in self.new_cache_rows if not row.freed]
        self.cache_rows[0].weight = 1.0
        if self.request.target is not None:
            self.finished = "ended"
        elif len(self.segments) >= self.request.max_segments or self.length >= self.max_length:
            self.finished = "budget"

    def _emit(self, name: str | None = None) -> None:
        """Emit an event for the new ids of a segment, and one at the end of the document."""
        name = name or self.cursor.open
        if name is not None and len(self.ids) > self._emitted:
            new = len(self.ids) - self._emitted
            self.events.append(SegmentProgress(self.number, name, len(self.ids), new, self.ids))
            self._emitted = len(self.ids)
        if self.finished is not None:
            self.finish(self.finished)

    def finish(self, reason: Reason) -> None:
        """End the document and free its cache rows."""
        self.finished = reason
        for row in self.cache_rows:
            row.freed = True
        self.events.append(DocumentDone(self.number, reason, tuple(self.segments)))

    def _guess(self, sampled: dict[int, int], count: int) -> None:
        """Guess up to `count` next codes of an image: what was `sampled` at a place after a wrong guess, else
        the code of the previous cell."""
        self.guesses = Guesses()
        if (
            not count
            or self.finished
            or self.new_cache_rows
            or self.cursor.open is None
            or self.request.allowed is not None
        ):
            return
        ahead = self.cursor.lookahead(count + 1)
        depth = len(self.codec.modalities[self.cursor.open].cell_ranges)
        ids = list(self.ids)
        for (legal, position), (legal_after, _) in pairwise(ahead):
            place = len(ids)
            guess = sampled.get(place, ids[-depth] if place >= depth else legal[0])
            fixed = self._fixed_id(place)
            ids.append(fixed if fixed is not None else guess if guess in legal else legal[0])
            fixed_after = self._fixed_id(place + 1)
            self.guesses.ids.append(ids[-1])
            self.guesses.positions.append(position)
            self.guesses.legal.append(legal_after if fixed_after is None else (fixed_after,))


def _fixed_ids(codec: Codec, codes: Codes) -> list[int]:
    """Ids of a partly known segment: its header's, then its codes', -1 where a code is free."""
    vocabulary, name = codec.vocabulary, codes.modality
    header = torch.tensor(codec.modalities[name].header(codes.shape), dtype=torch.long)
    known = vocabulary.to_ids(name, codes.codes.clamp(min=0)).masked_fill(codes.codes < 0, -1)
    return [*vocabulary.to_ids(name, header).tolist(), *known.tolist()]
