"""The log-likelihood of a segment given the rest of its document. Knows codes, not what they show."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from unitok.device import widest_float
from unitok.document import Codes
from unitok.modalities.kinds import STRUCTURE
from unitok.models.bidirectional import prefix_of
from unitok.models.cross_entropy import members
from unitok.models.transformer import Transformer
from unitok.tokens.codec import Codec
from unitok.tokens.layout import FlatIds


class Score(NamedTuple):
    """log p of a segment in nats, and its number of ids."""

    log_probability: float
    count: int

    @property
    def per_id(self) -> float:
        """log p divided by the number of ids."""
        return self.log_probability / max(1, self.count)


def scores(
    model: Transformer,
    codec: Codec,
    documents: Sequence[Sequence[Codes]],
    *,
    of: int = -1,
    batch_size: int = 32,
) -> list[Score]:
    """Returns log p(segment | the other segments) for each document, over the legal ids of each position.

    The segment's begin counts as known, as when its modality is the target; its header and end are scored.

    Args:
        model, codec: the model that scores.
        documents: one segment or more each.
        of: index of the scored segment, which is moved behind the others.
        batch_size: documents at once.

    Raises:
        ValueError: a document has no such segment, or is longer than the model's `max_length`.
    """
    results: list[Score] = []
    for batch in _batches(documents, batch_size):
        flat = codec.lay_out([_score_last(codes, of) for codes in batch])
        _check_length(flat, model)
        results += _scores(model, codec, flat)
    return results


def _check_length(flat: FlatIds, model: Transformer) -> None:
    longest = max(flat.lengths)
    if longest > model.sizes.max_length:
        raise ValueError(
            f"a document must have at most {model.sizes.max_length} ids (max_length), got {longest}"
        )


def best_of_copies(values: Sequence[float], *, copies: int) -> list[int]:
    """Returns the index of the maximum in every run of `copies` values."""
    starts = range(0, len(values), copies)
    return [max(range(i, i + copies), key=values.__getitem__) for i in starts]


def _batches(documents: Sequence, size: int) -> Iterator[Sequence]:
    if size < 1:
        raise ValueError(f"batch_size must be at least 1, got {size}")
    return (documents[start : start + size] for start in range(0, len(documents), size))


def _score_last(codes: Sequence[Codes], of: int) -> list[Codes]:
    """Move the scored segment to the end, and mark it alone as learned."""
    if not -len(codes) <= of < len(codes):
        raise ValueError(f"a document of {len(codes)} segments has no segment {of}")
    context = [replace(segment, learn=False) for segment in codes]
    scored = replace(context.pop(of), learn=True)
    return [*context, scored]


def log_probabilities(
    model: Transformer, codec: Codec, codes: Sequence[Codes]
) -> tuple[Float64[Tensor, " header"], Float64[Tensor, " codes"]]:
    """Returns log p in nats of each header id and of each code of the last segment, given the others.

    The end of an open-ended segment counts among its codes. Raises ValueError where the document is longer
    than the model's `max_length`.
    """
    flat = codec.lay_out([_score_last(codes, -1)])
    _check_length(flat, model)
    values = _log_probabilities(model, codec, flat).values
    header = codec.modalities[codes[-1].modality].header_length
    return values[:header], values[header:]


class _LogProbabilities(NamedTuple):
    """log p of each scored id and the row it is in, ordered by row, then by position; on the CPU."""

    values: Float64[Tensor, " n"]
    rows: Int64[Tensor, " n"]


@torch.inference_mode()
def _log_probabilities(model: Transformer, codec: Codec, flat: FlatIds) -> _LogProbabilities:
    ids, positions, targets = _pad(flat, pad=codec.vocabulary.pad)
    device, tiles = model.embedding.weight.device, flat.tiles
    shown = {} if tiles is None else {"tiles": tiles.to(device)}
    ids, positions, targets = ids.to(device), positions.to(device), targets.to(device)
    if model.number_parts is not None:
        shown["prefix"] = prefix_of(targets >= 0, torch.zeros_like(ids))
    scored = (targets.flatten() >= 0).nonzero()[:, 0]
    hidden, next_ids = model(ids, positions, places=scored, **shown), targets.flatten()[scored]
    values, places = [], []
    for group in codec.groups:
        in_group, index = members(next_ids, group.ids)
        if group.modality == STRUCTURE or not len(in_group):
            continue
        logits = model.head(hidden[in_group], group.ids).to(widest_float(device))
        values.append(logits.log_softmax(dim=-1).gather(-1, index[:, None])[:, 0].cpu().double())
        places.append(scored[in_group].cpu())
    if not values:
        empty = torch.zeros(0, dtype=torch.long)
        return _LogProbabilities(empty.double(), empty)
    sorted_places, order = torch.cat(places).sort()
    return _LogProbabilities(torch.cat(values)[order], sorted_places // targets.shape[1])


def _scores(model: Transformer, codec: Codec, flat: FlatIds) -> list[Score]:
    values, rows = _log_probabilities(model, codec, flat)
    total = torch.zeros(len(flat.lengths), dtype=torch.double).index_add_(0, rows, values)
    count = rows.bincount(minlength=len(flat.lengths))
    return [Score(*pair) for pair in zip(total.tolist(), count.tolist(), strict=True)]


def _pad(flat: FlatIds, *, pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns ids, positions and targets (-1: not scored), one document per row, padded on the right."""
    count, length = len(flat.lengths), max(flat.lengths) - 1
    ids = torch.full((count, length), pad)
    positions = torch.zeros(count, length, 3, dtype=torch.long)
    targets = torch.full((count, length), -1)
    columns = (torch.from_numpy(array).split(flat.lengths) for array in flat[:3])
    for row, (own_ids, own_positions, learn) in enumerate(zip(*columns, strict=True)):
        stop = len(own_ids) - 1
        ids[row, :stop], positions[row, :stop] = own_ids[:-1], own_positions[:-1]
        targets[row, :stop] = torch.where(learn[1:], own_ids[1:], -1)
    return ids, positions, targets
