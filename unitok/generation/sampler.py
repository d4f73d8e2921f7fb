"""Samples the next ids of many positions at once: head, guidance, draw. Knows hidden states and legal ids
alone."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.generation.guidance import guided
from unitok.generation.sampling import Noise, Sampling, gumbel, pick
from unitok.tokens.cursor import Legal

Head = Callable[[Float[Tensor, "n d"], Legal], Float[Tensor, "n legal"]]
"""Logits of the legal ids."""


class NextId(NamedTuple):
    """An id to be drawn among `legal`: from the hidden states at `places`, one a branch, with noise of
    (key, counter)."""

    legal: Legal
    sampling: Sampling
    weights: tuple[float, ...]
    places: tuple[int, ...]
    key: int
    counter: int


def choose(
    head: Head, hidden: Float[Tensor, "n d"], asks: Sequence[NextId], *, noise: Noise = gumbel
) -> list[int]:
    """An id for each; the head is evaluated once for all that share a legal block."""
    chosen = [ask.legal[0] for ask in asks]
    blocks: dict[Legal, dict[tuple, list[int]]] = {}
    for i, ask in enumerate(asks):
        if len(ask.legal) > 1:
            blocks.setdefault(ask.legal, {}).setdefault((ask.sampling, ask.weights), []).append(i)
    for legal, groups in blocks.items():
        for numbers, picked in _draw(head, noise, hidden, legal, asks, groups):
            for i, token in zip(numbers, picked, strict=True):
                chosen[i] = token
    return chosen


def _draw(
    head: Head,
    noise: Noise,
    hidden: Float[Tensor, "n d"],
    legal: Legal,
    asks: Sequence[NextId],
    groups: dict[tuple, list[int]],
) -> list[tuple[list[int], list[int]]]:
    """Ids of one legal block, for each set of asks that are drawn alike."""
    device, places = hidden.device, []
    for (_, weights), numbers in groups.items():
        places += [asks[i].places[branch] for branch in range(len(weights)) for i in numbers]
    logits = head(hidden[torch.tensor(places, device=device)], legal)
    ids, drawn, start = _tensor(legal, device), [], 0
    for (sampling, weights), numbers in groups.items():
        part = logits[start : start + len(weights) * len(numbers)].unflatten(0, (len(weights), len(numbers)))
        start += len(weights) * len(numbers)
        picked = pick(
            guided(part, weights, rescale=sampling.guidance_rescale),
            ids,
            sampling,
            keys=torch.tensor([asks[i].key for i in numbers], device=device),
            counters=torch.tensor([asks[i].counter for i in numbers], device=device),
            noise=noise,
        )
        drawn.append((numbers, picked.tolist()))
    return drawn


def _tensor(legal: Legal, device: torch.device) -> Int64[Tensor, " n"]:
    if isinstance(legal, range):
        return torch.arange(legal.start, legal.stop, device=device)
    return torch.tensor(legal, device=device)
