"""The training loss: cross-entropy among the ids that are legal at each position. Knows only ids.

With the head evaluated on each group's own ids this is exactly the softmax over the whole vocabulary with all
other ids masked, without ever computing their logits. Head and loss are one function that computes the
gradients together with the logits, chunk by chunk, so that no [tokens, ids] matrix is ever stored (Cut Your
Losses, arXiv:2411.09009, does this for a whole vocabulary).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

Group = tuple[str, str, range | tuple[int, ...]]
"""Name, modality and ids of a set among which targets are predicted, as in `codec.groups`."""

MAX_LOGITS = 2**24
"""Maximum number of logits in a chunk: 64 MB, whatever the numbers of tokens and ids."""


class LossSums(NamedTuple):
    """Sums over learned tokens, to be added over micro-batches and ranks before dividing.

    `total` carries the gradient: Σ weight · (cross-entropy + z_loss · logsumexp²); `weight` is Σ weight.
    `cross_entropy` (nats, unweighted), `count` and `square` (mean square of a token's logits) are per
    modality, for the log; so is `wrong`, the number of tokens whose target is not the likeliest, which is
    counted where no gradient is asked for.
    """

    total: Float[Tensor, ""]
    weight: Float[Tensor, ""]
    cross_entropy: dict[str, Float[Tensor, ""]]
    count: dict[str, Float[Tensor, ""]]
    square: dict[str, Float[Tensor, ""]]
    wrong: dict[str, Float[Tensor, ""]]

    @property
    def mean(self) -> Float[Tensor, ""]:
        """The loss, where the sums cover the whole global batch; 0 where nothing is learned."""
        return self.total / self.weight.clamp(min=torch.finfo(self.weight.dtype).tiny)


def add_sums(parts: Sequence[LossSums]) -> LossSums:
    """The sums over the tokens of all parts."""

    def added(figures: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        names = dict.fromkeys(name for figure in figures for name in figure)
        return {name: sum(figure[name] for figure in figures if name in figure) for name in names}

    totals, weights, *figures = zip(*parts, strict=True)
    return LossSums(sum(totals), sum(weights), *map(added, figures))


class Part(NamedTuple):
    """The tokens of one group: their places, the index of each target within the group's `ids`, and their
    weight."""

    places: Int64[Tensor, " k"]
    index: Int64[Tensor, " k"]
    ids: range | tuple[int, ...]
    scale: float


def grouped_cross_entropy(
    head: Float[Tensor, "v d"],
    hidden: Float[Tensor, "*k d"],
    targets: Int64[Tensor, "*k"],
    groups: Sequence[Group],
    *,
    among: range | None = None,
    weights: Mapping[str, float] | None = None,
    z_loss: float = 0.0,
) -> LossSums:
    """Cross-entropy of each learned target within its group.

    Args:
        head: one row per id; hidden @ head.T are the logits.
        targets: next ids; those in no group (-100) have no loss.
        groups: disjoint sets of ids.
        among: ids of the softmax for every target; those of its group if None.
        weights: weight of each modality's tokens; 1 where absent.
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
    if not torch.is_grad_enabled():  # else the head's gradient would be computed in validations, too
        hidden, head = hidden.detach(), head.detach()
    total, *statistics = HeadLoss.apply(hidden.flatten(0, -2), head, [*parts.values()], z_loss)
    entropies, squares, wrong = statistics
    sums: tuple[dict[str, Tensor], ...] = ({}, {}, {}, {})
    for number, ((_, modality), part) in enumerate(parts.items()):
        count = entropies.new_tensor(float(len(part.places)))
        figures = (entropies[number], count, squares[number], wrong[number])
        for by_modality, figure in zip(sums, figures, strict=True):
            by_modality[modality] = by_modality.get(modality, 0) + figure
    weight = entropies.new_tensor(float(sum(part.scale * len(part.places) for part in parts.values())))
    return LossSums(total, weight, *sums)


class HeadLoss(torch.autograd.Function):
    """(hidden, head) -> the weighted sum of the losses, and per-part statistics for the log.

    `forward` computes the gradients by their closed form, scale · (softmax · (1 + 2 z logsumexp) − one-hot):
    no logits are kept for `backward`, and none are computed twice.
    """

    @staticmethod
    def forward(
        ctx, hidden: Float[Tensor, "n d"], head: Float[Tensor, "v d"], parts: Sequence[Part], z_loss: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Also returns Σ cross-entropy, Σ mean square of the logits and the wrong tokens of each part."""
        to_hidden = torch.zeros_like(hidden) if ctx.needs_input_grad[0] else None
        to_head = torch.zeros_like(head) if ctx.needs_input_grad[1] else None
        exact = torch.promote_types(hidden.dtype, torch.float32)
        total = hidden.new_zeros((), dtype=exact)
        entropies, squares, wrong = (hidden.new_zeros(len(parts), dtype=exact) for _ in range(3))
        for number, part in enumerate(parts):
            rows = _rows(head, part.ids).to(_precision(hidden))
            to_rows = None if to_head is None else _rows(to_head, part.ids)
            for places, index in _chunks(part):
                inputs = hidden[places].to(rows.dtype)
                logits = F.linear(inputs, rows).to(exact)
                if to_hidden is None and to_rows is None:
                    wrong[number] += (logits.argmax(dim=1) != index).sum()
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
        ctx.mark_non_differentiable(entropies, squares, wrong)
        return total, entropies, squares, wrong

    @staticmethod
    def backward(ctx, gradient: Tensor, *rest) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Work in place, since the head's gradient may be the largest tensor, so it runs only once."""
        return *(None if saved is None else saved.mul_(gradient) for saved in ctx.saved_tensors), None, None


def _closed_form(
    logits: Float[Tensor, "k n"], index: Int64[Tensor, " k"], *, scale: float, z_loss: float
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"], Float[Tensor, "k n"]]:
    """Returns cross-entropy, logsumexp, and the gradient of scale · (cross-entropy + z · logsumexp²), which
    reuses the memory of the logits."""
    target_logits = logits.gather(1, index[:, None])[:, 0]
    top = logits.amax(dim=1, keepdim=True)
    gradient = logits.sub_(top).exp_()
    mass = gradient.sum(dim=1)
    normaliser = mass.log() + top[:, 0]
    gradient.mul_((scale * (1 + 2 * z_loss * normaliser) / mass)[:, None])
    gradient[torch.arange(len(index), device=index.device), index] -= scale
    return normaliser - target_logits, normaliser, gradient


def _rows(matrix: Float[Tensor, "v d"], ids: range | tuple[int, ...]) -> Float[Tensor, "n d"]:
    """The rows of some ids; a view where the ids are contiguous."""
    return matrix[ids.start : ids.stop] if isinstance(ids, range) else matrix[list(ids)]


def _precision(hidden: Tensor) -> torch.dtype:
    """The dtype of the logits' matrix product."""
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype


def _chunks(part: Part) -> Iterable[tuple[Tensor, Tensor]]:
    size = max(1, MAX_LOGITS // len(part.ids))
    return zip(part.places.split(size), part.index.split(size), strict=True)


def members(
    targets: Int64[Tensor, " n"], ids: range | tuple[int, ...]
) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"]]:
    """Returns the places of the targets that lie in `ids`, and the index of each within `ids`."""
    if isinstance(ids, range):
        places = ((targets >= ids.start) & (targets < ids.stop)).nonzero()[:, 0]
        return places, targets[places] - ids.start
    matches = targets[:, None] == torch.tensor(ids, device=targets.device)
    return matches.any(dim=1).nonzero()[:, 0], matches.nonzero()[:, 1]
