"""A document being decoded: legal ids, cache rows, and speculative decoding by Jacobi iteration.

Knows no model: it says which ids are to be drawn and takes what was drawn. Inside an image it may guess the
next codes, so that one forward pass verifies several: with the noise of each place fixed, a guess that equals
the draw of its own place is what plain sampling would have written (Jacobi decoding, arXiv:2305.10427; for
images arXiv:2410.01699, there with another test of acceptance).
"""

from dataclasses import dataclass, field
from itertools import pairwise

import torch

from unitok.document import Codes, Tokens
from unitok.generation.guidance import Branch, branches
from unitok.generation.requests import DocumentDone, Event, Reason, Request, SegmentDone, Written
from unitok.generation.sampler import NextId
from unitok.generation.sampling import Sampling, row_key
from unitok.tokens.codec import Codec
from unitok.tokens.cursor import Legal, Position


@dataclass(eq=False)
class CacheRow:
    """A line of the cache: a branch of a row, with the ids that it has not read yet.

    `shift` is how far its clock is from the first branch's, `held` how many ids it has read, `last` where
    the hidden state of the last of them is.
    """

    row: "Sequence"
    ids: list[int]
    positions: list[Position]
    weight: float = 1.0
    shift: int = 0
    held: int = 0
    last: int = 0
    gone: bool = False

    def add(self, token: int, position: Position) -> None:
        """One more id to read."""
        self.ids.append(token)
        self.positions.append(self.shifted(position))

    def shifted(self, position: Position) -> Position:
        """A position of the first branch as one of this."""
        if not self.shift:
            return position
        time, row, column = position
        return (time + self.shift, row + self.shift, column + self.shift)


def unread(row: "Sequence", tokens: Tokens, *, weight: float = 1.0, shift: int = 0) -> CacheRow:
    """A line that has all these ids still to read."""
    return CacheRow(row, tokens.ids.tolist(), list(map(tuple, tokens.positions.tolist())), weight, shift)


@dataclass
class Guesses:
    """Ids that may come next, where they stand, and the legal ids after each."""

    ids: list[int] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    legal: list[Legal] = field(default_factory=list)


class Sequence:
    """A document on its way.

    Args:
        number: of its request.
        request: what is asked.
        codec: the modalities.
        length: most ids of a document.

    Raises:
        ValueError: an unknown target, or a prompt that leaves no room.
    """

    def __init__(self, number: int, request: Request, codec: Codec, *, length: int):
        self.number, self.request, self.codec, self.length = number, request, codec, length
        words, target = codec.vocabulary, request.target
        if target is not None and target not in codec.modalities:
            raise ValueError(f"unknown target {target!r}; this model writes {', '.join(codec.modalities)}")
        self._check_length(codec.length(request.prompt) - 1 + (target is not None))
        opened = codec.join(request.prompt, open=target or words.modalities[0])
        prompt = Tokens(opened.ids[:-1], opened.positions[:-1], opened.learn[:-1])
        self.key = row_key(request.seed, opened.ids if target else prompt.ids, request.copy)
        self.cursor = codec.cursor(clock=int(opened.positions[-1, 0]), shapes=request.shapes)
        self.count = len(prompt)
        self.lanes = [unread(self, prompt)]
        self.fresh = list(self.lanes)
        self.segments: list[Codes] = []
        self.events: list[Event] = []
        self.finished: Reason | None = None
        self.ids: list[int] = []
        self.guesses = Guesses()
        self._told = 0
        self._check_room()

    def _check_length(self, count: int) -> None:
        """Before anything is made of so many ids."""
        if count > self.length:
            raise ValueError(f"the prompt is too long: it has {count} ids; this model holds {self.length}")

    def _check_room(self) -> None:
        target = self.request.target
        self.reach = self.count
        if target is None:
            return
        longest = max(len(branch.tokens) for branch in self._branches(target))
        needed = longest + self._most(target)
        shorter = self.codec.modalities[target].open_ended and self.request.options is None  # where room ends
        self.reach = min(needed, self.length)
        if needed > self.length and not (shorter and longest < self.length):
            raise ValueError(
                f"the prompt is too long: it has {longest} ids, and with the {target} after it {needed}; "
                f"this model holds {self.length}"
            )

    def _most(self, name: str) -> int:
        """Most ids that a segment of this modality takes after its begin."""
        if self.request.options is not None:
            return self.request.options.longest
        shape = (self.request.shapes or {}).get(name)
        return self.codec.longest(name, shape=shape, limit=self.request.sampling[name].max_new_tokens)

    def _branches(self, name: str) -> list[Branch]:
        return branches(
            self.codec,
            [*self.request.prompt, *self.segments],
            target=name,
            negative=self.request.negative,
            sampling=self.request.sampling[name],
        )

    # -- what is to be drawn

    @property
    def sampling(self) -> Sampling:
        """Of what comes next; between segments that of the first modality, text."""
        return self.request.sampling[self.cursor.open or self.codec.vocabulary.modalities[0]]

    def asks(self) -> list[NextId]:
        """The next id, and one after each guess."""
        weights = tuple(lane.weight for lane in self.lanes)
        return [
            NextId(
                legal,
                self.sampling,
                weights,
                tuple(lane.last + i for lane in self.lanes),
                self.key,
                self.count + i,
            )
            for i, legal in enumerate([self.legal, *self.guesses.legal])
        ]

    @property
    def legal(self) -> Legal:
        """Ids that may come next: the target's begin, one that leads to an option, the known code of this
        place, an end at the limit."""
        open, target = self.cursor.open, self.request.target
        if open is None:
            return self.cursor.legal if target is None else (self.codec.vocabulary.begin(target),)
        if self.request.options is not None:
            return self.request.options.after(self.ids)
        known = self._known(len(self.ids))
        if known is not None:
            return (known,)
        if self.codec.modalities[open].open_ended and len(self.ids) >= self._limit:
            return (self.codec.vocabulary.end(open),)
        return self.cursor.legal

    def _known(self, place: int) -> int | None:
        """The fixed id of a place of the open segment, if there is one."""
        return self._fixed[place] if place < len(self._fixed) and self._fixed[place] >= 0 else None

    # -- what was drawn

    def start(self) -> None:
        """Write what needs no choice, before the first forward pass."""
        self._force()
        self._tell()

    def take(self, drawn: list[int], *, speculate: int) -> None:
        """Write the draws up to the first one whose guess was wrong; the others are the next guesses."""
        right = 0
        while right < len(self.guesses.ids) and drawn[right] == self.guesses.ids[right]:
            right += 1
        for token in drawn[:right]:
            self._push(token, read=True)
        if self._fits(drawn[right]):
            self._push(drawn[right])
            self._force()
        else:
            self.finished = "budget"
        self._guess(dict(enumerate(drawn[right + 1 :], len(self.ids))), speculate)
        self._tell()

    def _fits(self, token: int) -> bool:
        """Whether there is room for the segment that an id would begin."""
        name = self.codec.vocabulary.begun_by(token) if self.cursor.open is None else None
        if name is None:
            return self.count < self.length
        room = self.length - self.count - 1
        return room > 1 if self.codec.modalities[name].open_ended else room >= self._most(name)

    def _force(self) -> None:
        """Write ids as long as only one is legal."""
        while self.finished is None and len(legal := self.legal) == 1:
            self._push(legal[0])

    def _push(self, token: int, *, read: bool = False) -> None:
        """Write an id, which the lanes have `read` already where it was a guess."""
        before, position = self.cursor.open, self.cursor.position
        self.cursor.push(token)
        if before is None and self.cursor.open is not None:
            self._begin(self.cursor.open, position)
        for lane in self.lanes:
            if read:
                lane.held += 1
            else:
                lane.add(token, position)
        self.count += 1
        if self.cursor.done:
            self.finished = "ended"
        elif before is not None and self.cursor.open is None:
            self._end(before)
        elif before is not None:
            self.ids.append(token)

    def _begin(self, name: str, position: Position) -> None:
        """Set up a segment; branches that know less of the document join."""
        request, self.ids, self._told = self.request, [], 0
        self._fixed = _fixed_ids(self.codec, request.fixed) if request.fixed else []
        self._limit = min(self.request.sampling[name].max_new_tokens, self.length - self.count - 2)
        full, *others = self._branches(name)
        self.lanes[0].weight = full.weight
        for tokens, weight in others:
            shift = int(tokens.positions[-1, 0]) - position[0]
            known = Tokens(tokens.ids[:-1], tokens.positions[:-1], tokens.learn[:-1])
            self.lanes.append(unread(self, known, weight=weight, shift=shift))
            self.fresh.append(self.lanes[-1])

    def _end(self, name: str) -> None:
        """Tell a complete segment; the other branches leave."""
        self._tell(name)
        words = self.codec.vocabulary
        ids = [words.document_begin, words.begin(name), *self.ids, words.end(name), words.document_end]
        self.segments += self.codec.split(torch.tensor(ids))
        self.events.append(SegmentDone(self.number, self.segments[-1]))
        for lane in self.lanes[1:]:
            lane.gone = True
        self.lanes, self.fresh = self.lanes[:1], [lane for lane in self.fresh if not lane.gone]
        self.lanes[0].weight = 1.0
        if self.request.target is not None:
            self.finished = "ended"
        elif len(self.segments) >= self.request.max_segments or self.count >= self.length:
            self.finished = "budget"

    def _tell(self, name: str | None = None) -> None:
        """An event for new ids of a segment, one for the end of the document."""
        name = name or self.cursor.open
        if name is not None and len(self.ids) > self._told:
            new = len(self.ids) - self._told
            self.events.append(Written(self.number, name, len(self.ids), new, self.ids))
            self._told = len(self.ids)
        if self.finished is not None:
            self.leave(self.finished)

    def leave(self, reason: Reason) -> None:
        """The end of the document; its lines are free."""
        self.finished = reason
        for lane in self.lanes:
            lane.gone = True
        self.events.append(DocumentDone(self.number, reason, tuple(self.segments)))

    def _guess(self, drawn: dict[int, int], most: int) -> None:
        """Guess the next codes of an image: what was `drawn` there after a wrong guess, else the code of the
        cell before."""
        self.guesses = Guesses()
        if (
            not most
            or self.finished
            or self.fresh
            or self.cursor.open is None
            or self.request.options is not None
        ):
            return
        ahead, depth = self.cursor.ahead(most + 1), len(self.codec.modalities[self.cursor.open].cell_ranges)
        likely = list(self.ids)
        for (legal, position), (after, _) in pairwise(ahead):
            place = len(likely)
            token = drawn.get(place, likely[-depth] if place >= depth else legal[0])
            known = self._known(place)
            likely.append(known if known is not None else token if token in legal else legal[0])
            following = self._known(place + 1)
            self.guesses.ids.append(likely[-1])
            self.guesses.positions.append(position)
            self.guesses.legal.append(after if following is None else (following,))


def _fixed_ids(codec: Codec, codes: Codes) -> list[int]:
    """Ids of a segment whose codes are partly known: its header's, and -1 where a code is free."""
    words, name = codec.vocabulary, codes.modality
    header = torch.tensor(codec.modalities[name].header(codes.shape), dtype=torch.long)
    known = words.to_ids(name, codes.codes.clamp(min=0)).masked_fill(codes.codes < 0, -1)
    return [*words.to_ids(name, header).tolist(), *known.tolist()]
