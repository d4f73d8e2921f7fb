"""Optimizers: AdamW, and Muon for matrices. Knows no model."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.adamw import adamw

from unitok.device import fast_dtype

Name = Literal["muon", "adamw"]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic that drives all singular values towards 1 (Jordan et al. 2024)."""


def rates(*, lr: float, muon_lr: float) -> dict[str, float]:
    """Learning rates by name. Raises ValueError where nothing would be learned, or unlearned."""
    if lr <= 0 or muon_lr <= 0:
        raise ValueError(f"lr and muon_lr must be above 0, got {lr} and {muon_lr}")
    return {"lr": lr, "muon_lr": muon_lr}


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
        adam["fused"] = True  # told to torch, which then loads the steps onto the weights' device
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
                for alike in _by_shape(weights):
                    self._muon(alike, group)
            elif weights:
                self._adam(weights, group)
        return loss

    def _muon(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        """One step of weights of one shape."""
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        gradients = [weight.grad for weight in weights]
        momenta = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
        matrices = torch.stack([step.flatten(1) for step in ahead])  # each [outputs, inputs · kernel]
        rows, columns = matrices.shape[1:]
        updates = orthogonalised(matrices, steps=group["steps"]).to(weights[0].dtype)
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        size = -group["lr"] * max(1, rows / columns) ** 0.5
        torch._foreach_add_(weights, [update.view(weights[0].shape) for update in updates], alpha=size)

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


def _by_shape(weights: list[Tensor]) -> list[list[Tensor]]:
    """Weights that one batched product can serve: on small matrices that halves Muon's time."""
    alike: dict[tuple, list[Tensor]] = {}
    for weight in weights:
        alike.setdefault((weight.shape, weight.dtype, weight.device), []).append(weight)
    return list(alike.values())


def orthogonalised(matrices: Float[Tensor, "n r c"], *, steps: int) -> Float[Tensor, "n r c"]:
    """About the nearest semi-orthogonal matrix to each: singular values near 1. In bfloat16 if it is fast."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).to(fast_dtype(matrices.device))
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
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
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    inside = {id(weight) for weight in model.blocks.parameters() if weight.ndim == 2}
    matrices = [weight for weight in trained if id(weight) in inside]
    others = [weight for weight in trained if id(weight) not in inside]
    if name == "muon":
        return MuonAdamW(matrices, others, lr=lr, muon_lr=muon_lr, weight_decay=weight_decay, betas=betas)
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=lr, betas=tuple(betas), fused=True)


def begin_states(optimizer: AdamW) -> AdamW:
    """Give every weight its state before the first step; a checkpoint of weights that are dealt out has to
    hold one of each, also of those that are held at first.
    """
    for weight in (weight for group in optimizer.param_groups for weight in group["params"]):
        optimizer.state[weight] = {
            "step": torch.zeros((), device=weight.device),
            "exp_avg": torch.zeros_like(weight),
            "exp_avg_sq": torch.zeros_like(weight),
        }
    return optimizer
