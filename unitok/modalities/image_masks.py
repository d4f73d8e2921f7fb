"""Masks for inpainting: pixels to free cells, known codes, the image with its hole. Generates nothing."""

import numpy as np
import torch
from jaxtyping import Bool
from PIL import Image, ImageOps

from unitok.document import Codes
from unitok.modalities.image import ImageModality
from unitok.pixels import Edges, as_mask, as_rgb

Mask = Bool[np.ndarray, "rows columns"]
"""True where a cell is free, that is, to be redrawn."""


def fit_mask(mask: Image.Image, image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Read a mask by `as_mask`, and crop and resize it to `size` (width, height) like its upright image.

    Transparent pixels are redrawn, or the white ones where none is transparent.

    Raises:
        ValueError: mask and image differ in size.
    """
    mask = as_mask(mask)
    if mask.size != image.size:
        sizes = [f"{one.width} × {one.height} pixels" for one in (image, mask)]
        raise ValueError(f"the mask must have the size of its image, {sizes[0]}, got {sizes[1]}")
    return ImageOps.fit(mask, size, Image.Resampling.NEAREST)


def free_cells(mask: Image.Image, cell: int) -> Mask:
    """The cells, of `cell` pixels per side, in which any pixel of the mask is white."""
    white = np.asarray(mask) >= 128
    rows, columns = white.shape[0] // cell, white.shape[1] // cell
    return white.reshape(rows, cell, columns, cell).any(axis=(1, 3))


def random_cells(rows: int, columns: int, share: float, seed: int) -> Mask:
    """A random mask that frees about a share of the cells, and at least one."""
    noise = np.random.default_rng(seed % 2**64).random((rows, columns))
    return noise <= max(share, noise.min())


def known_codes(codes: Codes, free: Mask, modality: ImageModality) -> Codes:
    """An image's codes with -1 in the free cells.

    Raises:
        ValueError: no cell is free.
    """
    if not free.any():
        raise ValueError(
            "the mask must have white pixels (255) where the image is redrawn, got nothing but black"
        )
    places = torch.from_numpy(free.ravel().copy()).repeat_interleave(len(modality.cell_ranges))
    return Codes(codes.modality, codes.codes.masked_fill(places, -1), codes.shape)


def blacken(image: Image.Image, free: Mask) -> Image.Image:
    """Paint the free cells of an image black: the model's input when it fills a hole."""
    mask = Image.fromarray(free).convert("L").resize(image.size, Image.Resampling.NEAREST)
    return Image.composite(Image.new("RGB", image.size), as_rgb(image), mask)


def paste_enlarged(image: Image.Image, drawn: Image.Image, mask: Image.Image, *, edges: Edges) -> Image.Image:
    """Paste what was drawn of a crop into the whole image, scaled up, where the mask is white in the crop.

    Args:
        image: the whole image.
        drawn: the crop with the new pixels, at any size.
        mask: of the image's size, read by `as_mask`.
        edges: the crop, in pixels of the image.
    """
    crop = tuple(map(round, edges))
    size = crop[2] - crop[0], crop[3] - crop[1]
    new, inside = as_rgb(image).copy(), Image.new("L", image.size)
    new.paste(drawn.resize(size, Image.Resampling.BICUBIC), crop[:2])
    inside.paste(as_mask(mask).crop(crop), crop[:2])
    return Image.composite(new, as_rgb(image), inside)
