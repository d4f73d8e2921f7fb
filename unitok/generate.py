"""Prefill, decode, guidance: continues documents id by id. Knows ids and codes, not pixels or letters.

A segment is filled by one loop, `fill`, for a batch of prompts that differ in length; `generate` drains it,
`stream` shows it. Without a target the model first chooses what comes next, a segment's begin or the
document's end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.codec import Codec
from unitok.cursor import Cursor, Legal
from unitok.document import Codes, Tokens
from unitok.models.cache import Cache
from unitok.models.transformer import Transformer
from unitok.sampling import Sampling, pick, row_key

Shapes = Mapping[str, tuple[int, ...]]
DEFAULT = Sampling()


@dataclass
class Row:
    """One segment being written: its cursors (prompted; free of the prompt where guided) and its new ids."""

    index: int
    key: int
    target: str
    cursors: list[Cursor]
    counter: int
    limit: int
    fixed: Sequence[int] = ()
    ids: list[int] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether the segment has ended."""
        return self.cursors[0].open is None

    def legal(self, end: int) -> Legal:
        """Ids that may come next; the fixed one of this place, or `end` once a text has `limit` ids."""
        place = len(self.ids)
        if place < len(self.fixed) and self.fixed[place] >= 0:
            return (self.fixed[place],)
        legal = self.cursors[0].legal
        return (end,) if len(self.ids) >= self.limit and end in legal else legal

    def push(self, token: int) -> list[tuple[int, int, int]]:
        """Append an id; returns its position in each branch."""
        positions = [cursor.position for cursor in self.cursors]
        for cursor in self.cursors:
            cursor.push(token)
        self.ids.append(token)
        self.counter += 1
        return positions


@torch.inference_mode()
def fill(
    model: Transformer,
    codec: Codec,
    prompts: Sequence[Sequence[Codes]],
    *,
    target: str,
    sampling: Sampling,
    keys: Sequence[int],
    shapes: Shapes | None = None,
    fixed: Sequence[Sequence[int]] | None = None,
    negatives: Sequence[Sequence[Codes]] | None = None,
) -> Iterator[list[Row]]:
    """Write one segment of modality `target` after each prompt; yields, after every step, rows with a new id.

    Raises:
        ValueError: a prompt leaves no room for the segment within the model's `max_length`.
    """
    branches = [[codec.join(prompt, open=target) for prompt in prompts]]
    if sampling.guided:
        branches.append([codec.join(free, open=target) for free in negatives or [[]] * len(prompts)])
    everything = [tokens for branch in branches for tokens in branch]
    capacity = _capacity(model, codec, everything, target=target, sampling=sampling, shapes=shapes)
    rows = [
        Row(
            i,
            key,
            target,
            cursors=[_walked(codec, tokens, shapes) for tokens in starts],
            counter=len(starts[0]),
            limit=min(sampling.max_new_tokens, model.config.max_length - max(map(len, starts)) - 1),
            fixed=fixed[i] if fixed else (),
        )
        for i, (key, *starts) in enumerate(zip(keys, *branches, strict=True))
    ]
    hidden, cache = _prefill(model, everything, capacity)
    end = codec.vocabulary.end(target)
    while rows:
        chosen = _choose(model, hidden, rows, sampling=sampling, end=end)
        positions = [row.push(token) for row, token in zip(rows, chosen, strict=True)]
        yield rows
        kept = [i for i, row in enumerate(rows) if not row.done]
        if len(kept) < len(rows):
            cache.keep(_in_branches(kept, len(rows), len(branches), device=hidden.device))
            rows, positions = [rows[i] for i in kept], [positions[i] for i in kept]
            chosen = [chosen[i] for i in kept]
        if rows:
            ids = torch.tensor(chosen * len(branches), device=hidden.device)[:, None]
            places = torch.tensor(
                [p[b] for b in range(len(branches)) for p in positions], device=hidden.device
            )
            hidden = model(ids, places[:, None], cache=cache)[:, 0]


def _walked(codec: Codec, tokens: Tokens, shapes: Shapes | None) -> Cursor:
    """A cursor that has read a prompt; shapes are forced only from here on."""
    cursor = codec.cursor()
    for token in tokens.ids.tolist():
        cursor.push(token)
    cursor.shapes = dict(shapes or {})
    return cursor


def _capacity(
    model: Transformer,
    codec: Codec,
    prompts: Sequence[Tokens],
    *,
    target: str,
    sampling: Sampling,
    shapes: Shapes | None,
) -> int:
    """Places of the longest row when its segment is full."""
    longest = max(len(tokens) for tokens in prompts)
    needed = longest + codec.longest(target, shape=(shapes or {}).get(target), limit=sampling.max_new_tokens)
    limit = model.config.max_length
    open_ended = codec.modalities[target].open_ended
    if needed > limit and not (open_ended and longest < limit):
        raise ValueError(
            f"the prompt is too long: it has {longest} ids, and with the {target} after it {needed}; "
            f"this model holds {limit}"
        )
    return min(needed, limit)


def _prefill(
    model: Transformer, prompts: Sequence[Tokens], capacity: int
) -> tuple[Float[Tensor, "b d"], Cache]:
    """Read all prompts in one right-padded batch; returns the hidden state of each one's last id."""
    device = model.embedding.weight.device
    lengths = torch.tensor([len(tokens) for tokens in prompts], device=device)
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad([tokens.ids for tokens in prompts], batch_first=True).to(device)
    positions = pad([tokens.positions for tokens in prompts], batch_first=True).to(device)
    cache = model.new_cache(len(prompts), capacity)
    hidden = model(ids, positions, cache=cache)
    cache.truncate(lengths)
    return hidden[torch.arange(len(prompts), device=device), lengths - 1], cache


def _in_branches(kept: list[int], rows: int, branches: int, *, device: torch.device) -> Int64[Tensor, " k"]:
    return torch.tensor(
        [b * rows + i for b in range(branches) for i in kept], dtype=torch.long, device=device
    )


def _choose(
    model: Transformer, hidden: Float[Tensor, "b d"], rows: list[Row], *, sampling: Sampling, end: int
) -> list[int]:
    """The next id of every row; the head is evaluated once for all rows that share a legal block."""
    chosen = [0] * len(rows)
    blocks: dict[Legal, list[int]] = {}
    for i, row in enumerate(rows):
        blocks.setdefault(row.legal(end), []).append(i)
    for legal, places in blocks.items():
        picked = [legal[0]] * len(places)
        if len(legal) > 1:
            states = hidden.view(-1, len(rows), hidden.shape[-1])[:, places]
            picked = _sample(model, states, legal, sampling, [rows[i] for i in places])
        for i, token in zip(places, picked, strict=True):
            chosen[i] = token
    return chosen


def _sample(
    model: Transformer,
    hidden: Float[Tensor, "branches b d"],
    legal: Legal,
    sampling: Sampling,
    rows: list[Row],
) -> list[int]:
    """Draw an id of the legal block for each row, guided where there is a second branch."""
    logits = model.head(hidden, legal)
    prompted = logits[0]
    if len(logits) == 2:
        prompted = logits[1] + sampling.guidance_scale * (prompted - logits[1])
    device = hidden.device
    return pick(
        prompted,
        torch.tensor(list(legal), device=device),
        sampling,
        keys=torch.tensor([row.key for row in rows], device=device),
        counters=torch.tensor([row.counter for row in rows], device=device),
    ).tolist()


def _fixed_ids(codec: Codec, codes: Codes) -> list[int]:
    """Ids of a segment whose codes are partly known: its header's, and -1 where a code is free."""
    words, name = codec.vocabulary, codes.modality
    header = torch.tensor(codec.modalities[name].header(codes.shape), dtype=torch.long)
    known = words.to_ids(name, codes.codes.clamp(min=0)).masked_fill(codes.codes < 0, -1)
    return [*words.to_ids(name, header).tolist(), *known.tolist()]


def _codes(codec: Codec, row: Row) -> Codes:
    """The finished segment of a row."""
    words = codec.vocabulary
    ids = [words.document_begin, words.begin(row.target), *row.ids, words.document_end]
    return codec.split(torch.tensor(ids))[0]


@torch.inference_mode()
def next_segments(
    model: Transformer,
    codec: Codec,
    prompts: Sequence[Sequence[Codes]],
    *,
    sampling: Sampling,
    keys: Sequence[int],
) -> list[str | None]:
    """What the model writes next after each prompt: a modality's name, or None for the document's end."""
    tokens = [codec.join(prompt, done=False) for prompt in prompts]
    longest, limit = max(map(len, tokens)), model.config.max_length
    if longest > limit:
        raise ValueError(f"the prompt is too long: it has {longest} ids; this model holds {limit}")
    hidden, _ = _prefill(model, tokens, longest)
    words = codec.vocabulary
    picked = pick(
        model.head(hidden, words.starters),
        torch.tensor(words.starters, device=hidden.device),
        sampling,
        keys=torch.tensor(list(keys), device=hidden.device),
        counters=torch.tensor([len(t) for t in tokens], device=hidden.device),
    )
    return [words.begun_by(token) for token in picked.tolist()]


@dataclass(frozen=True)
class Event:
    """Progress of one document: the codes of its newest segment so far, the segment once it is complete."""

    row: int
    modality: str
    ids: list[int]
    segment: Codes | None


@dataclass
class _Writer:
    """Continues a few documents together; what `stream` does for one batch."""

    model: Transformer
    codec: Codec
    sampling: Mapping[str, Sampling]
    shapes: Shapes | None
    fixed: Sequence[Codes] | None = None
    negatives: Sequence[Sequence[Codes]] | None = None

    def write(
        self,
        documents: dict[int, list[Codes]],
        noise: Mapping[int, tuple[int, int]],
        target: str | None,
        rounds: int,
    ) -> Iterator[Event]:
        """Append up to `rounds` segments to each document; `noise` holds each one's seed and copy."""
        for _ in range(rounds):
            if not documents:
                return
            keys = {
                i: row_key(noise[i][0], self.codec.join(codes, open=target, done=False).ids, noise[i][1])
                for i, codes in documents.items()
            }
            plan = dict.fromkeys(documents, target) if target else self._plan(documents, keys)
            documents = {i: codes for i, codes in documents.items() if plan[i] is not None}
            for name in dict.fromkeys(plan[i] for i in documents):
                yield from self._fill(name, {i: documents[i] for i in documents if plan[i] == name}, keys)

    def _plan(self, documents: Mapping[int, list[Codes]], keys: Mapping[int, int]) -> dict[int, str | None]:
        names = next_segments(
            self.model,
            self.codec,
            list(documents.values()),
            keys=list(keys.values()),
            sampling=self.sampling["text"],
        )
        return dict(zip(documents, names, strict=True))

    def _fill(
        self, name: str, documents: Mapping[int, list[Codes]], keys: Mapping[int, int]
    ) -> Iterator[Event]:
        places = list(documents)
        steps = fill(
            self.model,
            self.codec,
            list(documents.values()),
            target=name,
            keys=[keys[i] for i in places],
            sampling=self.sampling[name],
            shapes=self.shapes,
            fixed=[_fixed_ids(self.codec, self.fixed[i]) for i in places] if self.fixed else None,
            negatives=[self.negatives[i] for i in places] if self.negatives else None,
        )
        for row in (row for step in steps for row in step):
            place = places[row.index]
            segment = _codes(self.codec, row) if row.done else None
            if segment is not None:
                documents[place].append(segment)
            yield Event(place, name, row.ids, segment)


def stream(
    model: Transformer,
    codec: Codec,
    prompts: Sequence[Sequence[Codes]],
    *,
    target: str | None = None,
    sampling: Mapping[str, Sampling] | Sampling = DEFAULT,
    seed: Sequence[int] | int = 0,
    copies: Sequence[int] | None = None,
    shapes: Shapes | None = None,
    fixed: Sequence[Codes] | None = None,
    negatives: Sequence[Sequence[Codes]] | None = None,
    batch_size: int = 32,
    max_segments: int = 8,
) -> Iterator[Event]:
    """Continue every prompt by one segment of modality `target`, or without one until the model ends it.

    Args:
        prompts: the segments that are known, one list a document.
        target: modality to write; None lets the model choose, for at most `max_segments` segments.
        sampling: for all modalities, or one each.
        seed: one for all prompts, or one each.
        copies: which copy of its prompt each row is (0, 1, …), so that equal prompts get different noise.
        shapes: forced (rows, columns) of modalities that have a choice.
        fixed: what is known of each new segment of `target`: its codes, -1 where the model writes them.
        negatives: what guidance leads away from, one list a document, in place of the empty prompt.
        batch_size: rows decoded at once.

    Raises:
        ValueError: an unknown target, or a prompt that leaves no room within the model's `max_length`.
    """
    per_modality = sampling if isinstance(sampling, Mapping) else dict.fromkeys(codec.modalities, sampling)
    seeds = [seed] * len(prompts) if isinstance(seed, int) else list(seed)
    copies = [0] * len(prompts) if copies is None else list(copies)
    if not len(seeds) == len(copies) == len(prompts):
        raise ValueError(
            f"{len(prompts)} prompts need as many seeds and copies, not {len(seeds)} and {len(copies)}"
        )
    if target is not None and target not in codec.modalities:
        raise ValueError(f"unknown target {target!r}; this model writes {', '.join(codec.modalities)}")
    if batch_size < 1:
        raise ValueError(f"batch_size is 1 or more, not {batch_size}")
    if fixed is not None and (len(fixed) != len(prompts) or {codes.modality for codes in fixed} != {target}):
        raise ValueError(
            f"{len(prompts)} prompts need as many partly known segments of their target {target!r}"
        )
    if negatives is not None and len(negatives) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts need as many negative ones, not {len(negatives)}")
    writer = _Writer(model, codec, per_modality, shapes, fixed, negatives)
    noise = dict(enumerate(zip(seeds, copies, strict=True)))
    for start in range(0, len(prompts), batch_size):
        documents = {i: list(prompts[i]) for i in range(start, min(start + batch_size, len(prompts)))}
        yield from writer.write(documents, noise, target, 1 if target else max_segments)


def generate(
    model: Transformer, codec: Codec, prompts: Sequence[Sequence[Codes]], **options
) -> list[list[Codes]]:
    """The prompts with the segments that the model wrote after them; options as of `stream`."""
    documents = [list(prompt) for prompt in prompts]
    for event in stream(model, codec, prompts, **options):
        if event.segment is not None:
            documents[event.row].append(event.segment)
    return documents
