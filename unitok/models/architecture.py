"""What an architecture of image tokenizers is: encoder and decoder around the codes. Knows no codebook."""

from abc import ABC, abstractmethod
from dataclasses import Field, field
from typing import Any

from torch import nn

LARGEST, DEEPEST = 2**24, 2**10
"""Beyond what any network has: a damaged configuration must not take all memory before it is refused."""


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


def added(default: Any) -> Any:
    """A field that a kind got after folders of it had been written: they mean its default.

    config.json leaves it out where it has that value, so that the fingerprints of such folders stay.
    """
    return field(default=default, metadata={"added": True})


def is_added(field: Field) -> bool:
    """Whether a field may be absent from config.json."""
    return "added" in field.metadata


def check_sizes(**sizes: int) -> None:
    """Raises ValueError naming the sizes that are no whole numbers of at least 1, or larger than any."""
    _check(sizes, LARGEST)


def check_depths(**depths: int) -> None:
    """The same for numbers of layers."""
    _check(depths, DEEPEST)


def _check(sizes: dict[str, int], most: int) -> None:
    fit = {name: type(size) is int and 1 <= size <= most for name, size in sizes.items()}
    wrong = [f"{name}={size}" for name, size in sizes.items() if not fit[name]]
    if wrong:
        raise ValueError(f"got {', '.join(wrong)}; expected whole numbers of at least 1 and at most {most}")
