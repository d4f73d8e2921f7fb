"""The log-likelihood of a segment given the rest of its document. Knows codes, not what they show."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from unitok.device import widest_float
from unitok.document import Codes, Tokens
from unitok.models.cross_entropy import members
from unitok.models.transformer import Transformer
from unitok.tokens.codec import Codec


class Score(NamedTuple):
    """log p of a segment in nats, and the number of its ids."""

    log_probability: float
    count: int

    @property
    def per_id(self) -> float:
        """The same, whatever the segment's length."""
        return self.log_probability / max(1, self.count)


def scores(
    model: Transformer,
    codec: Codec,
    documents: Sequence[Sequence[Codes]],
    *,
    of: int = -1,
    batch_size: int = 32,
) -> list[Score]:
    """log p(segment | the others before it) of each document, over the ids that are legal at each place.

    The segment's begin counts as known, as when a modality is asked for; header and end are part of it.

    Args:
        model, codec: who judges.
        documents: of one segment or more.
        of: which segment; it is moved behind the others.
        batch_size: documents at once.

    Raises:
        ValueError: a document has no such segment, or is longer than the model's `max_length`.
    """
    found: list[Score] = []
    for part in _batches(documents, batch_size):
        tokens = codec.lay([_judged_last(codes, of) for codes in part]).tokens()
        _check_length(tokens, model)
        found += _scores(model, codec, tokens)
    return found


def _check_length(tokens: Sequence[Tokens], model: Transformer) -> None:
    longest = max(map(len, tokens))
    if longest > model.config.max_length:
        raise ValueError(f"a document takes {longest} ids; the model reads {model.config.max_length}")


def likeliest(found: Sequence[float], *, copies: int) -> list[int]:
    """Of every `copies` log-likelihoods in turn, the place of the highest."""
    starts = range(0, len(found), copies)
    return [max(range(i, i + copies), key=found.__getitem__) for i in starts]


def _batches(documents: Sequence, size: int) -> Iterator[Sequence]:
    if size < 1:
        raise ValueError(f"batch_size is 1 or more, not {size}")
    return (documents[start : start + size] for start in range(0, len(documents), size))


def _judged_last(codes: Sequence[Codes], of: int) -> list[Codes]:
    """The document with the judged segment at its end, which alone is marked as learned."""
    if not -len(codes) <= of < len(codes):
        raise ValueError(f"a document of {len(codes)} segments has no segment {of}")
    rest = [replace(segment, learn=False) for segment in codes]
    judged = replace(rest.pop(of), learn=True)
    return [*rest, judged]


def log_probabilities(
    model: Transformer, codec: Codec, codes: Sequence[Codes]
) -> tuple[Float64[Tensor, " header"], Float64[Tensor, " codes"]]:
    """log p, in nats, of each header id and of each code of a document's last segment, after the others.

    The end of an open-ended segment counts among its codes. Raises ValueError where the document is longer
    than the model's `max_length`.
    """
    tokens = codec.join(_judged_last(codes, -1))
    _check_length([tokens], model)
    values = _judged(model, codec, [tokens]).values
    header = codec.modalities[codes[-1].modality].header_length
    return values[:header], values[header:]


class _Judged(NamedTuple):
    """log p of each judged id, and the row that it is in; by row, then by place; on the CPU."""

    values: Float64[Tensor, " n"]
    rows: Int64[Tensor, " n"]


@torch.inference_mode()
def _judged(model: Transformer, codec: Codec, tokens: Sequence[Tokens]) -> _Judged:
    ids, positions, targets = _rows(tokens, pad=codec.vocabulary.pad)
    device = model.embedding.weight.device
    hidden, targets = model(ids.to(device), positions.to(device)), targets.to(device)
    found, where = [], []
    for group in codec.groups:
        places, index = members(targets.flatten(), group.ids)
        if group.modality == "structure" or not len(places):
            continue
        logits = model.head(hidden.flatten(0, 1)[places], group.ids).to(widest_float(device))
        found.append(logits.log_softmax(dim=-1).gather(-1, index[:, None])[:, 0].cpu().double())
        where.append(places.cpu())
    if not found:
        nothing = torch.zeros(0, dtype=torch.long)
        return _Judged(nothing.double(), nothing)
    places, order = torch.cat(where).sort()
    return _Judged(torch.cat(found)[order], places // targets.shape[1])


def _scores(model: Transformer, codec: Codec, tokens: Sequence[Tokens]) -> list[Score]:
    values, rows = _judged(model, codec, tokens)
    total = torch.zeros(len(tokens), dtype=torch.double).index_add_(0, rows, values)
    count = rows.bincount(minlength=len(tokens))
    return [Score(*pair) for pair in zip(total.tolist(), count.tolist(), strict=True)]


def _rows(tokens: Sequence[Tokens], *, pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, positions and targets (-1: not judged), a document a row, padded at its end."""
    length = max(map(len, tokens)) - 1
    ids = torch.full((len(tokens), length), pad)
    positions = torch.zeros(len(tokens), length, 3, dtype=torch.long)
    targets = torch.full((len(tokens), length), -1)
    for row, document in enumerate(tokens):
        stop = len(document) - 1
        ids[row, :stop], positions[row, :stop] = document.ids[:-1], document.positions[:-1]
        targets[row, :stop] = torch.where(document.learn[1:], document.ids[1:], -1)
    return ids, positions, targets
