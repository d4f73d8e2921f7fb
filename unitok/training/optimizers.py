"""Optimizers for training. Knows matrices and other weights, not what they are for."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.adamw import adamw

Name = Literal["muon", "adamw"]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic that drives all singular values towards 1 (Jordan et al. 2024)."""


class MuonAdamW(Optimizer):
    """Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) on matrices, AdamW on everything else.

    One optimizer, so that a trainer's count of steps is that of batches, and clipping sees all gradients.

    Args:
        matrices: weights [outputs, inputs, ...] that map activations to activations.
        others: embeddings, heads, norms.
        lr: of AdamW.
        muon_lr: of Muon.
        weight_decay: decoupled, of the matrices.
        betas: of AdamW.
        momentum: of Muon, Nesterov's.
        steps: of the Newton-Schulz iteration.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Iterable[Tensor],
        *,
        lr: float,
        muon_lr: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.95),
        momentum: float = 0.95,
        steps: int = 5,
    ):
        muon = {
            "muon": True,
            "lr": muon_lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "steps": steps,
        }
        adam = {"muon": False, "lr": lr, "betas": tuple(betas)}
        super().__init__([{"params": list(matrices), **muon}, {"params": list(others), **adam}], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; weights without gradient stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if group["muon"]:
                for weight in weights:
                    self._muon(weight, group)
            elif weights:
                self._adam(weights, group)
        return loss

    def _muon(self, weight: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
        ahead = weight.grad.lerp(state["momentum"], group["momentum"])
        matrix = ahead.flatten(1)  # of a convolution: [outputs, inputs · kernel]
        rows, columns = matrix.shape
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        update = orthogonalised(matrix, steps=group["steps"]).to(weight.dtype).view(weight.shape)
        weight.add_(update, alpha=-group["lr"] * max(1, rows / columns) ** 0.5)

    def _adam(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        for weight in weights:
            if not self.state[weight]:
                self.state[weight] = {
                    "step": torch.zeros((), device=weight.device),
                    "mean": torch.zeros_like(weight),
                    "square": torch.zeros_like(weight),
                }
        states = [self.state[weight] for weight in weights]
        adamw(
            weights,
            [weight.grad for weight in weights],
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def orthogonalised(matrix: Float[Tensor, "r c"], *, steps: int) -> Float[Tensor, "r c"]:
    """About the nearest semi-orthogonal matrix: singular values near 1, in bfloat16."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.mT if tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def build_optimizer(
    model: nn.Module,
    *,
    name: Name,
    lr: float,
    muon_lr: float,
    weight_decay: float,
    betas: tuple[float, float],
) -> Optimizer:
    """The optimizer of a transformer; only the matrices of its blocks are decayed (and Muon's)."""
    matrices = [weight for weight in model.blocks.parameters() if weight.ndim == 2]
    taken = {id(weight) for weight in matrices}
    others = [weight for weight in model.parameters() if id(weight) not in taken]
    if name == "muon":
        return MuonAdamW(matrices, others, lr=lr, muon_lr=muon_lr, weight_decay=weight_decay, betas=betas)
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=lr, betas=tuple(betas), fused=True)
