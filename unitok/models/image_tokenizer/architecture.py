"""The Architecture interface: an encoder and a decoder around the codes. Knows no codebook."""

from abc import ABC, abstractmethod
from dataclasses import Field, field
from typing import Any

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


def added_field(default: Any) -> Any:
    """A field that was added to an architecture after folders of it had been written; they get its default.

    config.json omits it where it has that value, so that the fingerprints of such folders do not change.
    """
    return field(default=default, metadata={"added": True})


def is_added_field(field: Field) -> bool:
    """Whether a field may be absent from config.json."""
    return "added" in field.metadata
