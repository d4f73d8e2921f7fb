"""The training loss: cross-entropy among the ids that are legal at each position. Knows ids alone.

With the head evaluated on each group's own ids this is exactly the softmax over the whole vocabulary with all
other ids masked, without ever computing their logits. The head and the loss are one function that makes the
gradients while it has the logits at hand, a chunk at a time, so that no [tokens, ids] matrix is ever kept
(Cut Your Losses, arXiv:2411.09009, has the idea for a whole vocabulary).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

Group = tuple[str, str, range | tuple[int, ...]]
"""Name, modality and ids of a set among which targets are predicted; `codec.groups` has them."""

LOGITS = 2**24
"""Most logits of a chunk: 64 MB, whatever the numbers of tokens and ids."""


class LossSums(NamedTuple):
    """Sums over learned tokens, to be added over micro-batches and ranks before dividing.

    `total` carries the gradient: Σ weight · (cross-entropy + z_loss · logsumexp²); `weight` is Σ weight.
    `cross_entropy` (nats, unweighted), `count` and `square` (mean square of a token's logits) are per
    modality, for the log.
    """

    total: Float[Tensor, ""]
    weight: Float[Tensor, ""]
    cross_entropy: dict[str, Float[Tensor, ""]]
    count: dict[str, Float[Tensor, ""]]
    square: dict[str, Float[Tensor, ""]]

    @property
    def mean(self) -> Float[Tensor, ""]:
        """The loss of a batch that is the whole global batch; 0 where nothing is learned."""
        return self.total / self.weight.clamp(min=torch.finfo(self.weight.dtype).tiny)


class Part(NamedTuple):
    """The tokens of one group: where they are, which of the group's `ids` comes next, and what they weigh."""

    places: Int64[Tensor, " k"]
    index: Int64[Tensor, " k"]
    ids: range | tuple[int, ...]
    scale: float


def grouped_cross_entropy(
    head: Float[Tensor, "v d"],
    hidden: Float[Tensor, "b t d"],
    targets: Int64[Tensor, "b t"],
    groups: Sequence[Group],
    *,
    among: range | None = None,
    weights: Mapping[str, float] | None = None,
    z_loss: float = 0.0,
) -> LossSums:
    """Cross-entropy of each learned target within its group.

    Args:
        head: one row an id; hidden @ head.T are the logits.
        targets: next ids; those in no group (-100) have no loss.
        groups: disjoint sets of ids.
        among: ids that compete for every target; those of its group if None.
        weights: of each modality's tokens; 1 where absent.
        z_loss: coefficient of logsumexp² (PaLM, arXiv:2204.02311, section 5), on the same logits.
    """
    parts: dict[tuple[str, str], Part] = {}
    for name, modality, ids in groups:
        places, index = members(targets.flatten(), ids)
        if among is not None:
            index, ids = targets.flatten()[places] - among.start, among
        if len(places):
            scale = 1.0 if weights is None else weights.get(modality, 1.0)
            parts[name, modality] = Part(places, index, ids, scale)
    total, entropies, squares = HeadLoss.apply(hidden.flatten(0, 1), head, [*parts.values()], z_loss)
    sums: tuple[dict[str, Tensor], ...] = ({}, {}, {})
    for number, ((_, modality), part) in enumerate(parts.items()):
        figures = (entropies[number], entropies.new_tensor(float(len(part.places))), squares[number])
        for known, figure in zip(sums, figures, strict=True):
            known[modality] = known.get(modality, 0) + figure
    weight = entropies.new_tensor(float(sum(part.scale * len(part.places) for part in parts.values())))
    return LossSums(total, weight, *sums)


class HeadLoss(torch.autograd.Function):
    """(hidden, head) -> the weighted sum of the losses, with what the log wants of each part.

    The gradients are made in `forward`, by the closed form scale · (softmax · (1 + 2 z logsumexp) − one-hot):
    no logits wait for `backward`, and none are computed twice.
    """

    @staticmethod
    def forward(
        ctx, hidden: Float[Tensor, "n d"], head: Float[Tensor, "v d"], parts: Sequence[Part], z_loss: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Also returns Σ cross-entropy and Σ mean square of the logits, of each part."""
        to_hidden = torch.zeros_like(hidden) if ctx.needs_input_grad[0] else None
        to_head = torch.zeros_like(head) if ctx.needs_input_grad[1] else None
        exact = torch.promote_types(hidden.dtype, torch.float32)
        total = hidden.new_zeros((), dtype=exact)
        entropies, squares = (hidden.new_zeros(len(parts), dtype=exact) for _ in range(2))
        for number, part in enumerate(parts):
            rows = _rows(head, part.ids).to(_precision(hidden))
            to_rows = None if to_head is None else _rows(to_head, part.ids)
            for places, index in _chunks(part):
                inputs = hidden[places].to(rows.dtype)
                logits = F.linear(inputs, rows).to(exact)
                squares[number] += torch.linalg.vector_norm(logits).square() / logits.shape[1]
                losses, normaliser, gradient = _closed_form(logits, index, scale=part.scale, z_loss=z_loss)
                entropies[number] += losses.sum()
                total += part.scale * (losses + z_loss * normaliser.square()).sum()
                if to_hidden is not None:
                    to_hidden[places] = (gradient.to(rows.dtype) @ rows).to(hidden.dtype)
                if to_rows is not None:
                    to_rows += gradient.to(rows.dtype).T @ inputs
            if to_rows is not None and not isinstance(part.ids, range):
                to_head[list(part.ids)] = to_rows
        ctx.save_for_backward(to_hidden, to_head)
        ctx.mark_non_differentiable(entropies, squares)
        return total, entropies, squares

    @staticmethod
    def backward(ctx, gradient: Tensor, *rest) -> tuple[Tensor | None, Tensor | None, None, None]:
        """In place, since the head's gradient may be the largest tensor there is; so it runs once."""
        return *(None if made is None else made.mul_(gradient) for made in ctx.saved_tensors), None, None


def _closed_form(
    logits: Float[Tensor, "k n"], index: Int64[Tensor, " k"], *, scale: float, z_loss: float
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"], Float[Tensor, "k n"]]:
    """Cross-entropy, logsumexp, and the gradient of scale · (the former + z · the latter²), which takes the
    memory of the logits."""
    found = logits.gather(1, index[:, None])[:, 0]
    top = logits.amax(dim=1, keepdim=True)
    shares = logits.sub_(top).exp_()
    mass = shares.sum(dim=1)
    normaliser = mass.log() + top[:, 0]
    shares.mul_((scale * (1 + 2 * z_loss * normaliser) / mass)[:, None])
    shares[torch.arange(len(index), device=index.device), index] -= scale
    return normaliser - found, normaliser, shares


def _rows(matrix: Float[Tensor, "v d"], ids: range | tuple[int, ...]) -> Float[Tensor, "n d"]:
    """The rows of some ids; a view where they follow each other."""
    return matrix[ids.start : ids.stop] if isinstance(ids, range) else matrix[list(ids)]


def _precision(hidden: Tensor) -> torch.dtype:
    """In which the logits are computed."""
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype


def _chunks(part: Part) -> Iterable[tuple[Tensor, Tensor]]:
    size = max(1, LOGITS // len(part.ids))
    return zip(part.places.split(size), part.index.split(size), strict=True)


def members(
    targets: Int64[Tensor, " n"], ids: range | tuple[int, ...]
) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"]]:
    """Places of the targets that lie in `ids`, and which of `ids` each is."""
    if isinstance(ids, range):
        places = ((targets >= ids.start) & (targets < ids.stop)).nonzero()[:, 0]
        return places, targets[places] - ids.start
    found = targets[:, None] == torch.tensor(ids, device=targets.device)
    return found.any(dim=1).nonzero()[:, 0], found.nonzero()[:, 1]
