"""Images as the codes of a trained image tokenizer. Knows pixels and grids, no joint ids."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor

from unitok.json_files import build_dataclass
from unitok.modalities.base import Modality
from unitok.modalities.kinds import modality_kind
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer
from unitok.models.sizes import check_sizes
from unitok.pixels import Edges, as_rgb, crop_edges, crop_to

IMAGE_TOKENIZER = "image_tokenizer"
"""The folder of the image tokenizer in that of a model."""
MAX_PIXELS = 2**21
"""Maximum number of pixels encoded or decoded in one batch of several images: 32 of 256 x 256."""
MIN_CONTRAST = 0.04
"""Contrast, in pixel values of -1..1, below which a cell counts as uniform."""


def to_pixels(images: Sequence[Image.Image]) -> Float[Tensor, "b 3 h w"]:
    """Convert RGB images of one size to values in [-1, 1]."""
    values = np.stack([np.asarray(image) for image in images]).astype(np.float32)
    return torch.from_numpy(values / 127.5 - 1).permute(0, 3, 1, 2)


def to_image(pixels: Float[Tensor, "3 h w"]) -> Image.Image:
    """Convert RGB values in [-1, 1] to a PIL image; values outside are clamped."""
    values = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).cpu().numpy())


@dataclass(frozen=True)
class ImageSizes:
    """The number of cells of images, (rows, columns) or at most `max_side` per side."""

    shape: tuple[int, int] | None
    max_side: int

    def __post_init__(self):
        check_sizes(max_side=self.max_side, **dict(zip(("rows", "columns"), self.shape or (), strict=False)))


@modality_kind
class ImageModality(Modality):
    """PIL images through an `ImageTokenizer`.

    With `shape`, every image is resized and centre-cropped to that many cells. Without it, an image keeps its
    size (rounded to whole cells, at most `max_side` per side), and two header codes, rows and columns,
    precede its codes.

    Args:
        tokenizer: pixels <-> codebook indices.
        shape: (rows, columns) in cells of `tokenizer.cell` pixels; None for any size.
        max_side: maximum number of cells per side where `shape` is None.
    """

    name = "image"

    def __init__(self, tokenizer: ImageTokenizer, *, shape: Sequence[int] | None, max_side: int = 64):
        self.tokenizer = tokenizer.eval()
        self.shape = tuple(shape) if shape is not None else None
        self.max_side = max_side
        self.codebook_size = tokenizer.codebook_size
        self.size = self.codebook_size + (0 if shape else max_side)

    @property
    def cells(self) -> range:
        return range(self.codebook_size)

    @property
    def cell_ranges(self) -> tuple[range, ...]:
        """One range per depth of a residual tokenizer, whose codes of a cell are adjacent."""
        size = self.codebook_size // self.tokenizer.depth
        return tuple(range(d * size, (d + 1) * size) for d in range(self.tokenizer.depth))

    @property
    def header_length(self) -> int:
        return 0 if self.shape else 2

    @property
    def largest_shape(self) -> tuple[int, int]:
        return self.shape or (self.max_side, self.max_side)

    def header_codes(self) -> range:
        return range(self.codebook_size, self.size)

    def header(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.shape is not None:
            if tuple(shape) != self.shape:
                raise ValueError(f"images must have {self.shape} cells, got {tuple(shape)}")
            return ()
        if len(shape) != 2 or not all(1 <= side <= self.max_side for side in shape):
            raise ValueError(f"images must have 1 to {self.max_side} cells per side, got {tuple(shape)}")
        return tuple(self.codebook_size + side - 1 for side in shape)

    def cells_of(self, size: Sequence[int]) -> tuple[int, int]:
        """Convert a size (height, width) in pixels to (rows, columns) in cells.

        Raises:
            ValueError: the model has no images of this size.
        """
        cell = self.tokenizer.cell
        rows, columns = (side // cell for side in size)
        whole = (rows * cell, columns * cell) == tuple(size)
        if self.shape is not None and not (whole and (rows, columns) == self.shape):
            only = f"{_size(side * cell for side in self.shape)}, the only size of this model"
            raise ValueError(f"size must be {only}, got {_size(size)}")
        if not (whole and all(1 <= side <= self.max_side for side in (rows, columns))):
            sides = f"height and width of {cell} to {self.max_side * cell} pixels, multiples of {cell}"
            raise ValueError(f"size must be {sides}, got {_size(size)}")
        return rows, columns

    def shape_of(self, header: Sequence[int]) -> tuple[int, int]:
        if self.shape is not None:
            return self.shape
        rows, columns = (code - self.codebook_size + 1 for code in header)
        return rows, columns

    def fit(self, image: Image.Image) -> Image.Image:
        """Convert an image to RGB, resized and centre-cropped to a size that the tokenizer accepts.

        Raises the errors of `pixels.as_rgb`.
        """
        image, cell = as_rgb(image), self.tokenizer.cell
        rows, columns = self.shape or (
            min(self.max_side, max(1, round(side / cell))) for side in (image.height, image.width)
        )
        return crop_to(image, (rows * cell, columns * cell))

    def crop_edges(self, image: Image.Image) -> Edges:
        """Edges (left, top, right, bottom), in pixels of the image, of the crop that `fit` takes."""
        image = as_rgb(image)
        width, height = self.fit(image).size
        return crop_edges(image, (height, width))

    def encode(self, content: Image.Image) -> tuple[Int64[Tensor, " n"], tuple[int, ...]]:
        return self.encode_many([content])[0]

    def decode(self, codes: Int64[Tensor, " n"], shape: tuple[int, ...]) -> Image.Image:
        return self.decode_many([codes], [shape])[0]

    @torch.inference_mode()
    def encode_many(
        self, contents: Sequence[Image.Image]
    ) -> list[tuple[Int64[Tensor, " _"], tuple[int, ...]]]:
        images = [self.fit(image) for image in contents]
        codes: list = [None] * len(images)
        for batch in _batches([image.size for image in images], cell=1):
            pixels = to_pixels([images[i] for i in batch])
            grids = self.tokenizer.encode(pixels.to(self.device)).codes.cpu()
            for i, grid in zip(batch, grids, strict=True):
                codes[i] = (grid.flatten(), (grid.shape[0], grid.shape[1] // self.tokenizer.depth))
        return codes

    @torch.inference_mode()
    def decode_many(
        self, codes: Sequence[Int64[Tensor, " _"]], shapes: Sequence[tuple[int, ...]]
    ) -> list[Image.Image]:
        grids = [c.view(shape[0], -1) for c, shape in zip(codes, shapes, strict=True)]
        images: list = [None] * len(grids)
        for batch in _batches([tuple(shape) for shape in shapes], cell=self.tokenizer.cell):
            pixels = (
                self.tokenizer.decode(torch.stack([grids[i] for i in batch]).to(self.device)).float().cpu()
            )
            for i, image in zip(batch, pixels, strict=True):
                images[i] = to_image(image)
        return images

    def grid(self, shape: tuple[int, ...]) -> Int64[Tensor, "n 3"]:
        rows, columns = shape
        cells = torch.cartesian_prod(
            torch.zeros(1, dtype=torch.long), torch.arange(rows), torch.arange(columns)
        )
        return cells.repeat_interleave(self.tokenizer.depth, dim=0)

    @torch.inference_mode()
    def features(self) -> Float[Tensor, "n d"] | None:
        """The decoded cell of each code, as colours, and as a brightness pattern independent of colour."""
        size, cell = self.codebook_size, self.tokenizer.cell
        if self.tokenizer.depth > 1:
            return None  # a single code does not determine a cell
        codes = torch.arange(size, device=self.device)[:, None, None].expand(-1, 3, 3)
        middle = slice(cell, 2 * cell)
        cells = torch.cat(
            [
                self.tokenizer.decode(codes[batch]).float().cpu()[:, :, middle, middle]
                for batch in _batches([(3, 3)] * size, cell=cell)
            ]
        )
        light = cells.mean(dim=1).flatten(1)
        light = light - light.mean(dim=1, keepdim=True)
        pattern = light / (light.norm(dim=1, keepdim=True) + MIN_CONTRAST * cell)
        return torch.cat((_standardise(cells.flatten(1)), _standardise(pattern)), dim=1)

    def features_key(self) -> str:
        return self.tokenizer.fingerprint()

    @property
    def device(self) -> torch.device:
        """The device of the tokenizer's weights."""
        return next(self.tokenizer.parameters()).device

    def to(self, device: torch.device) -> None:
        self.tokenizer.to(device)

    def settings(self) -> dict[str, Any]:
        return {"shape": self.shape, "max_side": self.max_side}

    def save(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder / IMAGE_TOKENIZER)

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> "ImageModality":
        sizes = build_dataclass(ImageSizes, settings)
        tokenizer = ImageTokenizer.from_pretrained(folder / IMAGE_TOKENIZER)
        return cls(tokenizer, shape=sizes.shape, max_side=sizes.max_side)

    def as_text(self, content: Image.Image) -> str:
        return f"[image of {content.width} × {content.height} pixels]"

    def preview_step(self, header: Sequence[int]) -> int:
        """A row of cells."""
        return self.shape_of(header)[1] * self.tokenizer.depth

    def preview(self, codes: Int64[Tensor, " n"], header: Sequence[int]) -> Image.Image:
        """The image with the rows that are known, and grey below."""
        shape, depth = self.shape_of(header), self.tokenizer.depth
        total = shape[0] * shape[1] * depth
        padding = codes[-depth:].repeat((total - len(codes)) // depth)
        preview = self.decode(torch.cat((codes, padding)), shape)
        height = preview.height * len(codes) // total
        preview.paste((128, 128, 128), (0, height, preview.width, preview.height))
        return preview

    def fingerprint(self) -> str:
        return f"{self.tokenizer.fingerprint(decoder=False)}:{self.shape or self.max_side}"


def _size(sides: Iterable[int]) -> str:
    """Format a size, such as "24 × 36 pixels (height × width)"."""
    height, width = sides
    return f"{height} × {width} pixels (height × width)"


def _standardise(features: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Centre features and scale them to unit length on average."""
    centred = features - features.mean(dim=0)
    return centred / centred.square().sum(dim=1).mean().sqrt().clamp(min=1e-6)


def _batches(shapes: Sequence[tuple[int, ...]], *, cell: int) -> Iterator[list[int]]:
    """Yield batches of indices of equal shapes (in cells of `cell` pixels) with at most MAX_PIXELS pixels."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(i)
    for shape, indices in groups.items():
        most = max(1, MAX_PIXELS // (math.prod(shape) * cell**2))
        yield from (indices[start : start + most] for start in range(0, len(indices), most))
