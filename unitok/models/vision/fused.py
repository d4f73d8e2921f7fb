"""Several encoders of one image, fused by channel (Prismatic, arXiv:2402.07865). Knows no transformer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.vision.encoder import Encoder
from unitok.pixels import Edges, Image


@dataclass(frozen=True)
class Fused(Encoder):
    """Encoders whose vectors of a cell are concatenated; their grids must be equal.

    The first fits an image to its size. What has another size is given the same pixels, resized.

    Args:
        encoders: such as a SigLIP, which knows what is there, and a DINOv2, which knows where.
    """

    encoders: Sequence[Encoder]
    size = None

    def __post_init__(self):
        if len(self.encoders) < 2:
            raise ValueError(f"encoders must be at least 2, got {len(self.encoders)}")
        object.__setattr__(self, "encoders", tuple(self.encoders))

    @property
    def has_weights(self) -> bool:
        """Whether one has weights of its own, which a training starts at random."""
        return any(encoder.has_weights for encoder in self.encoders)

    def input_size(self, drawn: tuple[int, int] | None) -> tuple[int, int] | None:
        return self.encoders[0].input_size(drawn)

    def grid(self, size: tuple[int, int], tokenizer: ImageTokenizer | None) -> tuple[int, int]:
        grids = [one.grid(one.input_size(size), tokenizer) for one in self.encoders]
        if len(set(grids)) > 1:
            shapes = ", ".join(f"{rows} x {columns}" for rows, columns in grids)
            raise ValueError(
                f"encoders must have equal grids, got {shapes}: give one of them another size in pixels"
            )
        return grids[0]

    def fit(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        return self.encoders[0].fit(image, size)

    def crop_edges(self, image: Image.Image, size: tuple[int, int]) -> Edges:
        return self.encoders[0].crop_edges(image, size)

    def cell(self, tokenizer: ImageTokenizer | None) -> int:
        return self.encoders[0].cell(tokenizer)

    def dim(self, tokenizer: ImageTokenizer | None) -> int:
        return sum(encoder.dim(tokenizer) for encoder in self.encoders)

    def build(self, tokenizer: ImageTokenizer | None) -> nn.Module:
        return FusedLayers(self, [encoder.build(tokenizer) for encoder in self.encoders])

    def identity(self, module: nn.Module | None) -> Any:
        return [encoder.identity(part) for encoder, part in self._parts(module)]

    def placed(self, folder: str | Path) -> Encoder:
        places = [Path(folder) / str(number) for number in range(len(self.encoders))]
        parts = zip(self.encoders, places, strict=True)
        return replace(self, encoders=tuple(encoder.placed(place) for encoder, place in parts))

    def save(self, folder: Path, module: nn.Module) -> None:
        for number, (encoder, part) in enumerate(self._parts(module)):
            encoder.save(folder / str(number), part)

    def kept(self, module: nn.Module) -> set[str]:
        parts = enumerate(self._parts(module))
        return {f"encoders.{number}.{name}" for number, (one, part) in parts for name in one.kept(part)}

    def _parts(self, module: nn.Module | None) -> Iterator[tuple[Encoder, nn.Module | None]]:
        """Each encoder with its part of the module."""
        modules = [None] * len(self.encoders) if module is None else module.encoders
        return zip(self.encoders, modules, strict=True)


class FusedLayers(nn.Module):
    """The layers of several encoders."""

    def __init__(self, config: Fused, encoders: Sequence[nn.Module]):
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.config = config

    def forward(self, pixels: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b d h w"]:
        given = (pixels.shape[2], pixels.shape[3])
        return torch.cat(
            [
                encoder(_resized(pixels, config.input_size(given)))
                for config, encoder in zip(self.config.encoders, self.encoders, strict=True)
            ],
            dim=1,
        )


def _resized(pixels: Float[Tensor, "b 3 y x"], size: tuple[int, int]) -> Float[Tensor, "b 3 h w"]:
    """Pixels of another size (height, width), by bicubic interpolation; the same where it is theirs."""
    if tuple(pixels.shape[2:]) == size:
        return pixels
    return interpolate(pixels, size, mode="bicubic", antialias=True)
