"""The training loss: every target is predicted among the ids that are legal at its place. Knows ids alone.

With the head evaluated on each group's own ids this is exactly the softmax over the whole vocabulary with all
other ids masked, without ever computing their logits.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Group = tuple[str, str, range | tuple[int, ...]]
"""Name, modality and ids of a set among which targets are predicted; `codec.groups` has them."""


class LossSums(NamedTuple):
    """Sums over learned tokens, to be added over micro-batches and ranks before dividing.

    `total` carries the gradient: Σ weight · (cross-entropy + z_loss · logsumexp²); `weight` is Σ weight.
    `cross_entropy` (nats, unweighted) and `count` are per modality, for the log.
    """

    total: Float[Tensor, ""]
    weight: Float[Tensor, ""]
    cross_entropy: dict[str, Float[Tensor, ""]]
    count: dict[str, Float[Tensor, ""]]

    @property
    def mean(self) -> Float[Tensor, ""]:
        """The loss of a batch that is the whole global batch; 0 where nothing is learned."""
        return self.total / self.weight.clamp(min=torch.finfo(self.weight.dtype).tiny)


def grouped_cross_entropy(
    head: Callable[[Tensor, range | Sequence[int]], Tensor],
    hidden: Float[Tensor, "b t d"],
    targets: Int64[Tensor, "b t"],
    groups: Sequence[Group],
    *,
    weights: Mapping[str, float] | None = None,
    z_loss: float = 0.0,
) -> LossSums:
    """Cross-entropy of each learned target within its group.

    Args:
        head: (hidden states, ids) -> logits of those ids; `Transformer.head`.
        targets: next ids; those in no group (-100) have no loss.
        groups: disjoint sets of ids.
        weights: of each modality's tokens; 1 where absent.
        z_loss: coefficient of logsumexp² (PaLM, arXiv:2204.02311, section 5), on the same logits.
    """
    hidden, targets = hidden.flatten(0, 1), targets.flatten()
    weight = hidden.new_zeros((), dtype=torch.float32)
    total = 0 * hidden.sum().float()  # has a gradient also where nothing is learned
    cross_entropy: dict[str, Tensor] = {}
    count: dict[str, Tensor] = {}
    for _, modality, ids in groups:
        places, index = members(targets, ids)
        if not len(places):
            continue
        logits = head(hidden.index_select(0, places), ids)
        losses = -logits.log_softmax(dim=-1).gather(-1, index[:, None])[:, 0]
        normaliser = losses + logits.gather(-1, index[:, None])[:, 0]
        scale = 1.0 if weights is None else weights.get(modality, 1.0)
        total = total + scale * (losses + z_loss * normaliser.square()).sum()
        weight = weight + scale * len(places)
        cross_entropy[modality] = cross_entropy.get(modality, 0) + losses.detach().sum()
        count[modality] = count.get(modality, 0) + total.new_tensor(float(len(places)))
    return LossSums(total, weight, cross_entropy, count)


def members(
    targets: Int64[Tensor, " n"], ids: range | tuple[int, ...]
) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"]]:
    """Places of the targets that lie in `ids`, and which of `ids` each is."""
    if isinstance(ids, range):
        places = ((targets >= ids.start) & (targets < ids.stop)).nonzero()[:, 0]
        return places, targets[places] - ids.start
    found = targets[:, None] == torch.tensor(ids, device=targets.device)
    return found.any(dim=1).nonzero()[:, 0], found.nonzero()[:, 1]
