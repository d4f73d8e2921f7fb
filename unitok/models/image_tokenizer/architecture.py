"""The Architecture interface: an encoder and a decoder around the codes. Knows no codebook."""

from abc import ABC, abstractmethod

from torch import nn


class Architecture(ABC):
    """Sizes of an encoder and a decoder; subclasses are frozen dataclasses."""

    @property
    @abstractmethod
    def cell(self) -> int:
        """Pixels per side of one code's cell."""

    @abstractmethod
    def encoder(self, dim: int) -> nn.Module:
        """Pixels [b, 3, h · cell, w · cell] to latents [b, dim, h, w]."""

    @abstractmethod
    def decoder(self, dim: int) -> nn.Module:
        """Latents [b, dim, h, w] to pixels [b, 3, h · cell, w · cell]."""
