"""Adversarial training of the tokenizer: the discriminator's steps and its weight."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW

from unitok.models.image_tokenizer.discriminator import (
    LeCAM,
    PatchDiscriminator,
    accuracy,
    adaptive_weight,
    gradient_penalty,
    hinge,
)


@dataclass(frozen=True)
class AdversaryConfig:
    """Settings of a PatchGAN discriminator with hinge loss, as in VQGAN (arXiv:2012.09841).

    Args:
        weight: of the adversarial term in the objective.
        adaptive: scale the term so that its gradient at the decoder's last layer equals the rest's, times
            `weight`.
        learns_from: optimizer step from which the discriminator is trained.
        counts_from: optimizer step from which the tokenizer is trained on the term; the discriminator should
            have learned something by then.
        lr: of the discriminator's AdamW.
        channels: of its first layer.
        layers: layers that halve the sides.
        lecam: weight of the LeCAM penalty, for small data sets.
        r1: weight of the gradient penalty on real images.
    """

    weight: float = 0.5
    adaptive: bool = True
    learns_from: int = 0
    counts_from: int = 1000
    lr: float = 2e-4
    channels: int = 64
    layers: int = 2
    lecam: float = 0.0
    r1: float = 0.0

    def __post_init__(self):
        if self.counts_from <= self.learns_from:
            raise ValueError(
                f"counts_from must be above learns_from={self.learns_from}, got {self.counts_from}: "
                "an untrained discriminator gives no useful gradient"
            )


class StepResult(NamedTuple):
    """Loss and accuracy of the discriminator in one of its steps."""

    loss: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]


class Adversary(nn.Module):
    """The discriminator with its losses."""

    def __init__(self, config: AdversaryConfig):
        super().__init__()
        self.config = config
        self.discriminator = PatchDiscriminator(config.channels, config.layers)
        self.register_buffer("mean_real", torch.zeros(()))
        self.register_buffer("mean_fake", torch.zeros(()))

    def optimizer(self) -> torch.optim.Optimizer:
        """Builds the discriminator's optimizer."""
        return AdamW(self.discriminator.parameters(), lr=self.config.lr, betas=(0.5, 0.9), weight_decay=0.0)

    def term(
        self, decoded: Float[Tensor, "b 3 h w"], others: Float[Tensor, ""], last: Tensor
    ) -> Float[Tensor, ""]:
        """The weighted adversarial term of the tokenizer's objective; it trains the tokenizer alone.

        Args:
            decoded: reconstructions.
            others: the other terms of the objective that depend on them.
            last: weight of the decoder's last layer.
        """
        self.discriminator.requires_grad_(False)
        term = -self.discriminator(decoded.float()).mean()
        self.discriminator.requires_grad_(True)
        scale = adaptive_weight(others, term, last) if self.config.adaptive else 1.0
        return self.config.weight * scale * term

    def train_step(
        self,
        images: Float[Tensor, "b 3 h w"],
        decoded: Float[Tensor, "b 3 h w"],
        optimizer: torch.optim.Optimizer,
        *,
        backward: Callable[[Tensor], None],
        average: Callable[[list[Tensor]], None],
        clip: float,
    ) -> StepResult:
        """Train the discriminator on images and their detached reconstructions.

        Args:
            images, decoded: of one batch.
            optimizer: made by `optimizer()`.
            backward: computes gradients.
            average: averages gradients over all ranks, in place.
            clip: maximum gradient norm; a step with a non-finite norm is skipped.
        """
        images = images.detach().requires_grad_(self.config.r1 > 0)
        real, fake = self.discriminator(images), self.discriminator(decoded.detach().float())
        loss = hinge(real, fake)
        if self.config.lecam:
            penalty = LeCAM(self.mean_real, self.mean_fake)
            loss = loss + self.config.lecam * penalty(real, fake)
        if self.config.r1:
            loss = loss + self.config.r1 * gradient_penalty(real, images)
        optimizer.zero_grad()
        backward(loss)
        weights = list(self.discriminator.parameters())
        average([weight.grad for weight in weights])
        if torch.isfinite(torch.nn.utils.clip_grad_norm_(weights, clip)):
            optimizer.step()
        return StepResult(loss.detach(), accuracy(real, fake).detach())
