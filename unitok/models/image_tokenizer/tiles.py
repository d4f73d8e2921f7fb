"""Encodes and decodes large images tile by tile, in constant memory. Knows no file."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer


class Span(NamedTuple):
    """Cells along one side: `start` to `stop` are a tile's input, `first` to `last` of them its output."""

    start: int
    stop: int
    first: int
    last: int


def spans(cells: int, *, tile: int, overlap: int) -> Iterator[Span]:
    """Yield tiles of at most `tile` cells that output every cell once, with `overlap` cells of context.

    Example:
        >>> [tuple(span) for span in spans(7, tile=5, overlap=1)]
        [(0, 4, 0, 3), (2, 7, 3, 6), (5, 7, 6, 7)]
    """
    step = tile - 2 * overlap
    if overlap < 0 or step < 1:
        raise ValueError(f"overlap must be at least 0 and less than half of tile={tile}, got {overlap}")
    for first in range(0, cells, step):
        last = min(first + step, cells)
        yield Span(max(first - overlap, 0), min(last + overlap, cells), first, last)


@torch.no_grad()
def encode_tiled(
    tokenizer: ImageTokenizer, images: Float[Tensor, "b 3 H W"], *, tile: int = 32, overlap: int = 4
) -> Int64[Tensor, "b h n"]:
    """Encode images tile by tile.

    Args:
        tokenizer: an image tokenizer.
        images: in [-1, 1].
        tile: cells per side of a tile, including its overlaps.
        overlap: cells of context on each side of a tile.

    Raises:
        ValueError: a tile consists of overlaps only, or the images have an invalid size.
    """
    tokenizer._check_images(images)
    cell, depth = tokenizer.cell, tokenizer.depth
    rows = []
    for down in spans(images.shape[2] // cell, tile=tile, overlap=overlap):
        row = []
        for across in spans(images.shape[3] // cell, tile=tile, overlap=overlap):
            pixels = images[
                :, :, down.start * cell : down.stop * cell, across.start * cell : across.stop * cell
            ]
            codes = tokenizer.encode(pixels).codes
            left = (across.first - across.start) * depth
            right = (across.last - across.start) * depth
            row.append(codes[:, down.first - down.start : down.last - down.start, left:right])
        rows.append(torch.cat(row, dim=2))
    return torch.cat(rows, dim=1)


@torch.no_grad()
def decode_tiled(
    tokenizer: ImageTokenizer, codes: Int64[Tensor, "b h n"], *, tile: int = 32, overlap: int = 4
) -> Float[Tensor, "b 3 H W"]:
    """Decode codes to images tile by tile; overlapping tiles are blended.

    Args:
        tokenizer: an image tokenizer.
        codes: codes of whole images.
        tile: cells per side of a tile, including its overlaps.
        overlap: cells of context on each side of a tile.
    """
    cell, depth = tokenizer.cell, tokenizer.depth
    height, width = codes.shape[1], codes.shape[2] // depth
    total = torch.zeros((len(codes), 3, height * cell, width * cell), device=codes.device)
    weight = torch.zeros_like(total[:1, :1])
    for down in spans(height, tile=tile, overlap=overlap):
        for across in spans(width, tile=tile, overlap=overlap):
            tile_codes = codes[:, down.start : down.stop, across.start * depth : across.stop * depth]
            fade = _fade(down, cell)[:, None] * _fade(across, cell)
            place = (
                slice(None),
                slice(None),
                slice(down.start * cell, down.stop * cell),
                slice(across.start * cell, across.stop * cell),
            )
            total[place] += tokenizer.decode(tile_codes).float() * fade.to(total.device)
            weight[place] += fade.to(total.device)
    return total / weight


def _fade(span: Span, cell: int) -> Float[Tensor, " n"]:
    """Blending weights of a tile's pixels along one side.

    They rise to 1 over twice the overlap, since the neighbour extends over the border as well.
    """
    size, weights = (span.stop - span.start) * cell, torch.ones((span.stop - span.start) * cell)
    places = torch.arange(size) + 0.5
    for overlap, distance in ((span.first - span.start, places), (span.stop - span.last, size - places)):
        if overlap:
            weights = weights.minimum(distance / (2 * overlap * cell))
    return weights
