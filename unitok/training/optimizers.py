"""Optimizers: AdamW, and Muon for matrices. Knows no model."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.adamw import adamw

from unitok.device import fast_dtype
from unitok.training.schedule import ScheduleKind, learning_rate

OptimizerName = Literal["muon", "adamw"]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic that drives all singular values towards 1 (Jordan et al. 2024)."""
WIDE = 1.5
"""Columns a row from which five steps on Gram matrices take fewer operations than on the matrix."""
GRAM_STEPS = {torch.bfloat16: 3, torch.float32: 5}
"""Most steps from one Gram matrix: of five in bfloat16, three and two are as exact as those on the matrix; in
float32 all five are, to 1e-3."""


@dataclass(frozen=True)
class OptimizerConfig:
    """Settings of an optimizer, its schedule and its gradients.

    Args:
        name: "muon" (with AdamW on all other weights) or "adamw" alone.
        lr: peak learning rate of AdamW.
        muon_lr: peak learning rate of Muon, for the transformer's blocks, or the image tokenizer's wide
            matrices and convolutions.
        bridge_lr: peak learning rate of AdamW on the bridge and the encoder of a model with vision; None for
            that of `lr`.
        weight_decay: of a transformer's blocks; of an image tokenizer's weights of Muon, or of all with AdamW
            alone.
        betas: of AdamW.
        clip: maximum gradient norm.
        warmup_steps: steps of linear warm-up.
        schedule: cosine, linear, wsd or constant.
        max_bad_batches: stop after this many batches in a row without a finite gradient.
    """

    name: OptimizerName = "muon"
    lr: float = 3e-3
    muon_lr: float = 0.02
    bridge_lr: float | None = None
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    warmup_steps: int = 50
    schedule: ScheduleKind = "linear"
    max_bad_batches: int = 20

    def __post_init__(self):
        if self.lr <= 0 or self.muon_lr <= 0:
            raise ValueError(f"lr and muon_lr must be above 0, got {self.lr} and {self.muon_lr}")
        if self.bridge_lr is not None and self.bridge_lr <= 0:
            raise ValueError(f"bridge_lr must be above 0, got {self.bridge_lr}")

    @property
    def rates(self) -> dict[str, float]:
        """Peak learning rates: `muon_lr` of Muon's weights and `lr` of the others."""
        return {"lr": self.lr, "muon_lr": self.muon_lr}

    def set_rates(self, optimizer: Optimizer, *, share: float, step: int) -> None:
        """Set an optimizer's learning rates for a step, from the config alone, not from a checkpoint.

        Args:
            optimizer: its parameter groups are changed in place.
            share, step: see `learning_rate`.
        """
        factor = learning_rate(share, step=step, warmup_steps=self.warmup_steps, kind=self.schedule)
        for group in optimizer.param_groups:
            group["lr"] = factor * self._peak(group)

    def _peak(self, group: dict[str, Any]) -> float:
        """The peak learning rate of a group of weights."""
        if group.get("bridge") and self.bridge_lr is not None:
            return self.bridge_lr
        return self.muon_lr if group.get("muon") else self.lr

    def ineffective(self) -> dict[str, str]:
        """Settings that the others make ineffective, with the reason."""
        return {"optimizer.muon_lr": "model.optimizer.name is adamw"} if self.name == "adamw" else {}


class MuonAdamW(Optimizer):
    """Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) on matrices, AdamW on everything else.

    A single optimizer, so that the trainer counts one step per batch and clipping sees all gradients.

    Args:
        matrices: weights [outputs, inputs, ...] that map activations to activations.
        others: embeddings, heads, norms; one group or several, as {"params": …}, of settings of their own.
        lr: learning rate of AdamW.
        muon_lr: learning rate of Muon.
        weight_decay: decoupled, of the matrices.
        betas: of AdamW.
        momentum: Nesterov momentum of Muon.
        steps: of the Newton-Schulz iteration.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Iterable[Tensor] | Sequence[dict[str, Any]],
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
        adam["fused"] = True  # makes torch load the step counters onto the weights' device
        others = list(others)
        groups = others if others and isinstance(others[0], dict) else [{"params": others}]
        super().__init__([{"params": list(matrices), **muon}, *({**adam, **group} for group in groups)], {})
        self.orthogonalize = orthogonalize_all
        """Does it for stacks of matrices; replaced where several processes share them."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; weights without a gradient stay unchanged."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if group["muon"]:
                self._muon_step(_group_by_shape(weights), group)
            elif weights:
                self._adamw_step(weights, group)
        return loss

    def _muon_step(self, by_shape: list[list[Tensor]], group: dict[str, Any]) -> None:
        """Take a step of weights, which come in lists of one shape each."""
        stacks = [self._nesterov(weights, momentum=group["momentum"]) for weights in by_shape]
        for weights, updates in zip(by_shape, self.orthogonalize(stacks, group["steps"]), strict=True):
            rows, columns = updates.shape[1:]
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            scale = -group["lr"] * max(1, rows / columns) ** 0.5
            updates = updates.to(weights[0].dtype)
            torch._foreach_add_(weights, [update.view(weights[0].shape) for update in updates], alpha=scale)

    def _nesterov(self, weights: list[Tensor], *, momentum: float) -> Float[Tensor, "n r c"]:
        """Updates the momenta of weights of one shape; returns steps, each [outputs, inputs · kernel]."""
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        gradients = [weight.grad for weight in weights]
        momenta = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        steps = torch._foreach_lerp(gradients, momenta, momentum)
        return torch.stack([step.flatten(1) for step in steps])

    def _adamw_step(self, weights: list[Tensor], group: dict[str, Any]) -> None:
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


def _group_by_shape(weights: list[Tensor]) -> list[list[Tensor]]:
    """Groups weights for batched products: on small matrices that halves Muon's time."""
    groups: dict[tuple, list[Tensor]] = {}
    for weight in weights:
        groups.setdefault((weight.shape, weight.dtype, weight.device), []).append(weight)
    return list(groups.values())


def orthogonalize(matrices: Float[Tensor, "n r c"], *, steps: int) -> Float[Tensor, "n r c"]:
    """Approximates each matrix's nearest semi-orthogonal one (singular values near 1), in bfloat16 where that
    is fast."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).to(fast_dtype(matrices.device))
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    if x.shape[2] > WIDE * x.shape[1]:
        at_once = GRAM_STEPS[x.dtype]
        for done in range(0, steps, at_once):
            x = _polynomials(x @ x.mT, steps=min(at_once, steps - done)) @ x
    else:
        for _ in range(steps):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _polynomials(gram: Float[Tensor, "n r r"], *, steps: int) -> Float[Tensor, "n r r"]:
    """Returns what so many steps multiply a matrix by, from its Gram matrix alone, which is smaller (Gram
    Newton-Schulz, Zhang, Amsel, Chen and Dao 2026, dao-lab.ai/blog/2026/gram-newton-schulz)."""
    a, b, c = NEWTON_SCHULZ
    product = None
    for left in reversed(range(steps)):
        step = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)  # a step multiplies by a + this
        if left:
            half = torch.baddbmm(gram, step, gram, beta=a)
            gram = torch.baddbmm(half, half, step, beta=a)
        if product is None:
            product = step
            product.diagonal(dim1=1, dim2=2).add_(a)
        else:
            product = torch.baddbmm(product, step, product, beta=a)
    return product


def orthogonalize_all(stacks: Sequence[Tensor], steps: int) -> list[Tensor]:
    """`orthogonalize` of every stack [n, r, c], all in this process."""
    return [orthogonalize(stack, steps=steps) for stack in stacks]


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """Builds a transformer's optimizer; only the matrices of its blocks are decayed (and updated by Muon)."""
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    named = dict(model.named_parameters())
    blocks = [weight for name, weight in named.items() if name.startswith(("blocks.", "cross.blocks."))]
    in_blocks = {id(weight) for weight in blocks if weight.ndim == 2}
    matrices = [weight for weight in trainable if id(weight) in in_blocks]
    in_bridge = {id(weight) for name, weight in named.items() if name.startswith("bridge.")}
    others = [weight for weight in trainable if id(weight) not in in_blocks | in_bridge]
    bridge = [weight for weight in trainable if id(weight) in in_bridge]
    groups = [{"params": bridge, "bridge": True}] if bridge else []
    groups.append({"params": others})
    if config.name == "muon":
        shared = {"weight_decay": config.weight_decay, "betas": config.betas}
        return MuonAdamW(matrices, groups, **config.rates, **shared)
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        *({**group, "weight_decay": 0.0} for group in groups),
    ]
    return AdamW(groups, lr=config.lr, betas=tuple(config.betas), fused=True)


def init_states(optimizer: AdamW) -> AdamW:
    """Give every weight its optimizer state before the first step: a sharded checkpoint must hold all states,
    including those of weights that are frozen at first.
    """
    for weight in (weight for group in optimizer.param_groups for weight in group["params"]):
        optimizer.state[weight] = {
            "step": torch.zeros((), device=weight.device),
            "exp_avg": torch.zeros_like(weight),
            "exp_avg_sq": torch.zeros_like(weight),
        }
    return optimizer
