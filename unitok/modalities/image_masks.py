"""Masks for inpainting: pixels to free cells, known codes, the image with its hole. Generates nothing."""

import numpy as np
import torch
from jaxtyping import Bool
from PIL import Image, ImageOps

from unitok.document import Codes
from unitok.modalities.image import ImageModality
from unitok.pixels import as_mask, as_rgb

Mask = Bool[np.ndarray, "rows columns"]
"""True where a cell is free: where it is to be drawn anew."""


def fit_mask(mask: Image.Image, picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A mask, as `as_mask` reads it, brought to `size` (width, height) as its upright picture is.

    What is transparent, or white where nothing is, is drawn anew.

    Raises:
        ValueError: mask and picture differ in size.
    """
    mask = as_mask(mask)
    if mask.size != picture.size:
        raise ValueError(f"the mask has {mask.size} pixels, the picture {picture.size}: they must be alike")
    return ImageOps.fit(mask, size, Image.Resampling.NEAREST)


def free_cells(mask: Image.Image, cell: int) -> Mask:
    """Cells of `cell` pixels a side in which a pixel of the mask is white."""
    white = np.asarray(mask) >= 128
    rows, columns = white.shape[0] // cell, white.shape[1] // cell
    return white.reshape(rows, cell, columns, cell).any(axis=(1, 3))


def some_cells(rows: int, columns: int, share: float, seed: int) -> Mask:
    """About a share of the cells, one at least."""
    drawn = np.random.default_rng(seed % 2**64).random((rows, columns))
    return drawn <= max(share, drawn.min())


def partly_known(codes: Codes, free: Mask, modality: ImageModality) -> Codes:
    """An image's codes with -1 in the free cells.

    Raises:
        ValueError: no cell is free.
    """
    if not free.any():
        raise ValueError("the mask is black everywhere (white is 255): nothing is to be drawn")
    places = torch.from_numpy(free.ravel().copy()).repeat_interleave(len(modality.cell_ranges))
    return Codes(codes.modality, codes.codes.masked_fill(places, -1), codes.shape)


def blackened(picture: Image.Image, free: Mask) -> Image.Image:
    """The picture with its free cells black, as a model is shown what it is to fill."""
    mask = Image.fromarray(free).convert("L").resize(picture.size, Image.Resampling.NEAREST)
    return Image.composite(Image.new("RGB", picture.size), as_rgb(picture), mask)
