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
    """A PatchGAN with hinge loss, as VQGAN has it (arXiv:2012.09841).

    Args:
        weight: of its term in the objective.
        adaptive: let it weigh as much as the rest at the decoder's last layer, times `weight`.
        learns_from: optimizer steps before it is trained.
        counts_from: optimizer steps before its term is used; it should have learned for some by then.
        lr: of its AdamW.
        channels: of its first layer.
        layers: how often it halves the sides.
        lecam: weight of the LeCAM penalty, for few data.
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
                f"counts_from={self.counts_from} is not after learns_from={self.learns_from}: "
                "a discriminator that never learned says nothing"
            )


class Round(NamedTuple):
    """What one round of the discriminator's training came to."""

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
        """Of the discriminator."""
        return AdamW(self.discriminator.parameters(), lr=self.config.lr, betas=(0.5, 0.9), weight_decay=0.0)

    def term(
        self, again: Float[Tensor, "b 3 h w"], others: Float[Tensor, ""], last: Tensor
    ) -> Float[Tensor, ""]:
        """The weighted term of the tokenizer's objective; the discriminator gets no gradient by it.

        Args:
            again: reconstructions.
            others: the rest of the objective that they decide.
            last: weight of the decoder's last layer.
        """
        self.discriminator.requires_grad_(False)
        term = -self.discriminator(again.float()).mean()
        self.discriminator.requires_grad_(True)
        scale = adaptive_weight(others, term, last) if self.config.adaptive else 1.0
        return self.config.weight * scale * term

    def learn(
        self,
        images: Float[Tensor, "b 3 h w"],
        again: Float[Tensor, "b 3 h w"],
        optimizer: torch.optim.Optimizer,
        *,
        backward: Callable[[Tensor], None],
        average: Callable[[list[Tensor]], None],
        clip: float,
    ) -> Round:
        """One step of the discriminator on images and their detached reconstructions.

        Args:
            images, again: of one batch.
            optimizer: what `optimizer()` gave.
            backward: computes gradients.
            average: makes them those of all ranks.
            clip: largest gradient norm; where it is not finite nothing is changed.
        """
        images = images.detach().requires_grad_(self.config.r1 > 0)
        real, fake = self.discriminator(images), self.discriminator(again.detach().float())
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
        return Round(loss.detach(), accuracy(real, fake).detach())
