"""What an architecture of image tokenizers is: encoder and decoder around the codes. Knows no codebook."""

from abc import ABC, abstractmethod

from torch import nn


class Architecture(ABC):
    """Sizes of an encoder and a decoder; the kinds are frozen dataclasses."""

    @property
    @abstractmethod
    def cell(self) -> int:
        """Pixels a side of one code's cell."""

    @abstractmethod
    def encoder(self, dim: int) -> nn.Module:
        """Pixels [b, 3, h · cell, w · cell] to latents [b, dim, h, w]."""

    @abstractmethod
    def decoder(self, dim: int) -> nn.Module:
        """Latents [b, dim, h, w] to pixels [b, 3, h · cell, w · cell]."""


def check_sizes(**sizes: int) -> None:
    """Raises ValueError naming the sizes that are no whole numbers of at least 1."""
    wrong = [f"{name}={size}" for name, size in sizes.items() if type(size) is not int or size < 1]
    if wrong:
        raise ValueError(f"got {', '.join(wrong)}; expected whole numbers of at least 1")
