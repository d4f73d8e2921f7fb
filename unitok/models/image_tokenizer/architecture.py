"""The Architecture interface: an encoder and a decoder around the codes. Knows no codebook."""

from abc import ABC, abstractmethod
from dataclasses import Field, field
from typing import Any

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


def added(default: Any) -> Any:
    """A field that a kind got after folders of it had been written: they mean its default.

    config.json leaves it out where it has that value, so that the fingerprints of such folders stay.
    """
    return field(default=default, metadata={"added": True})


def is_added(field: Field) -> bool:
    """Whether a field may be absent from config.json."""
    return "added" in field.metadata
