"""Samples the next ids of many positions at once: head, guidance, noise. Knows only hidden states and
legal ids."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.generation.guidance import combine_branches
from unitok.generation.sampling import Noise, Sampling, gumbel, sample_ids
from unitok.tokens.cursor import Legal

Head = Callable[[Float[Tensor, "n d"], Legal], Float[Tensor, "n legal"]]
"""Computes logits of the legal ids."""


class NextId(NamedTuple):
    """An id to sample among `legal`, from the hidden states at `indices` (one per guidance branch), with the
    noise of (key, counter)."""

    legal: Legal
    sampling: Sampling
    weights: tuple[float, ...]
    indices: tuple[int, ...]
    key: int
    counter: int


def sample_next(
    head: Head, hidden: Float[Tensor, "n d"], requests: Sequence[NextId], *, noise: Noise = gumbel
) -> list[int]:
    """Sample one id per request; requests with the same legal ids share one evaluation of the head."""
    sampled = [request.legal[0] for request in requests]
    blocks: dict[Legal, dict[tuple, list[int]]] = {}
    for i, request in enumerate(requests):
        if len(request.legal) > 1:
            blocks.setdefault(request.legal, {}).setdefault((request.sampling, request.weights), []).append(i)
    for legal, groups in blocks.items():
        for members, ids in _sample_block(head, noise, hidden, legal, requests, groups):
            for i, token in zip(members, ids, strict=True):
                sampled[i] = token
    return sampled


def _sample_block(
    head: Head,
    noise: Noise,
    hidden: Float[Tensor, "n d"],
    legal: Legal,
    requests: Sequence[NextId],
    groups: dict[tuple, list[int]],
) -> list[tuple[list[int], list[int]]]:
    """Sample for all requests with the same legal ids, group by group of equal settings and weights."""
    device, indices = hidden.device, []
    for (_, weights), members in groups.items():
        indices += [requests[i].indices[branch] for branch in range(len(weights)) for i in members]
    logits = head(hidden[torch.tensor(indices, device=device)], legal)
    ids, results, start = _to_tensor(legal, device), [], 0
    for (sampling, weights), members in groups.items():
        branches = logits[start : start + len(weights) * len(members)]
        start += len(weights) * len(members)
        sampled = sample_ids(
            combine_branches(
                branches.unflatten(0, (len(weights), len(members))),
                weights,
                rescale=sampling.guidance_rescale,
            ),
            ids,
            sampling,
            keys=torch.tensor([requests[i].key for i in members], device=device),
            counters=torch.tensor([requests[i].counter for i in members], device=device),
            noise=noise,
        )
        results.append((members, sampled.tolist()))
    return results


def _to_tensor(legal: Legal, device: torch.device) -> Int64[Tensor, " n"]:
    if isinstance(legal, range):
        return torch.arange(legal.start, legal.stop, device=device)
    return torch.tensor(legal, device=device)
