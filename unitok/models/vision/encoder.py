"""Vision encoders: pixels to a grid of vectors, for images that a model is shown. Knows no transformer.

Their configs are frozen dataclasses, as those of image tokenizers. None here needs files of its own.
"""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from unitok.models.image_tokenizer.architecture import Architecture
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.image_tokenizer.vit import ViT
from unitok.models.kinds import part_to_json
from unitok.models.sizes import check_sizes
from unitok.pixels import Edges, Image, crop_edges, crop_to


class Encoder(ABC):
    """Settings of a vision encoder; subclasses are frozen dataclasses.

    `has_weights` tells whether it has weights of its own, which a training starts at random.
    """

    size: tuple[int, int] | None
    """(height, width) in pixels to which an image is resized for it; None for the size of the images that
    the model draws."""
    has_weights = False

    def input_size(self, drawn: tuple[int, int] | None) -> tuple[int, int] | None:
        """(height, width) in pixels of what it sees, in a model that draws images of the size `drawn`."""
        return self.size or drawn

    def grid(self, size: tuple[int, int], tokenizer: ImageTokenizer | None) -> tuple[int, int]:
        """(rows, columns) of the vectors of an image of this size.

        Raises ValueError if it cannot see images of this size.
        """
        cell = self.cell(tokenizer)
        if len(size) != 2 or not all(side > 0 and side % cell == 0 for side in size):
            raise ValueError(f"encoder.size must be multiples of its cell of {cell} pixels, got {size}")
        return size[0] // cell, size[1] // cell

    def fit(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        """Bring an RGB image of any size to (height, width): resized, and its centre cropped."""
        return crop_to(image, size)

    def crop_edges(self, image: Image.Image, size: tuple[int, int]) -> Edges:
        """Edges, in pixels of an image, of what `fit` keeps of it."""
        return crop_edges(image, size)

    def identity(self, module: nn.Module | None) -> Any:
        """What decides what it sees, as JSON; `module` is what `build` gave if its weights are frozen."""
        return part_to_json(self, Encoder, Architecture)

    def placed(self, folder: str | Path) -> "Encoder":
        """The same encoder with the files that it needs in this folder, where `save` writes them."""
        return self

    def save(self, folder: Path, module: nn.Module) -> None:  # noqa: B027 (most need none)
        """Write its files, if it needs some, with the weights of `module`, which `build` gave."""

    def kept(self, module: nn.Module) -> set[str]:
        """The names of the weights of `module` that `save` writes."""
        return set()

    @abstractmethod
    def cell(self, tokenizer: ImageTokenizer | None) -> int:
        """Pixels per side of the cell that a vector stands for."""

    @abstractmethod
    def dim(self, tokenizer: ImageTokenizer | None) -> int:
        """Channels of a vector."""

    @abstractmethod
    def build(self, tokenizer: ImageTokenizer | None) -> nn.Module:
        """Pixels in [-1, 1] [b, 3, h · cell, w · cell] to vectors [b, dim, h, w]; a module of its own."""


@dataclass(frozen=True)
class Latents(Encoder):
    """The image tokenizer's encoder before quantisation: no second network.

    Args:
        size: (height, width) in pixels; None for that of the images that the model draws.
    """

    size: tuple[int, int] | None = None

    def cell(self, tokenizer: ImageTokenizer | None) -> int:
        return tokenizer.cell

    def dim(self, tokenizer: ImageTokenizer | None) -> int:
        return tokenizer.quantizer.dim

    def build(self, tokenizer: ImageTokenizer | None) -> nn.Module:
        return copy.deepcopy(tokenizer.encoder)


@dataclass(frozen=True)
class Patches(Encoder):
    """The pixels of each cell as a vector (Fuyu, Adept 2023): no network at all.

    Args:
        patch: pixels per side of a cell.
        size: (height, width) in pixels; None for that of the images that the model draws.
    """

    patch: int = 8
    size: tuple[int, int] | None = None

    def __post_init__(self):
        check_sizes(patch=self.patch)

    def cell(self, tokenizer: ImageTokenizer | None) -> int:
        return self.patch

    def dim(self, tokenizer: ImageTokenizer | None) -> int:
        return 3 * self.patch**2

    def build(self, tokenizer: ImageTokenizer | None) -> nn.Module:
        return nn.PixelUnshuffle(self.patch)


@dataclass(frozen=True)
class Network(Encoder):
    """The encoder of an image tokenizer's architecture, trained with the model, such as a ViT.

    Args:
        architecture: ViT, VQGAN or Patch; its decoder is not built.
        channels: of a vector.
        size: (height, width) in pixels; None for that of the images that the model draws.
    """

    architecture: Architecture = ViT()  # noqa: RUF009 (it is frozen)
    channels: int = 256
    size: tuple[int, int] | None = None
    has_weights = True

    def __post_init__(self):
        check_sizes(channels=self.channels)

    def cell(self, tokenizer: ImageTokenizer | None) -> int:
        return self.architecture.cell

    def dim(self, tokenizer: ImageTokenizer | None) -> int:
        return self.channels

    def build(self, tokenizer: ImageTokenizer | None) -> nn.Module:
        return self.architecture.encoder(self.channels)
