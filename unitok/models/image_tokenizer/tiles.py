"""Encodes and decodes large images tile by tile, in constant memory. Knows no file."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer


class Span(NamedTuple):
    """Cells of one side: those a tile reads, and those of them that it answers for."""

    start: int
    stop: int
    first: int
    last: int


def spans(cells: int, *, tile: int, overlap: int) -> Iterator[Span]:
    """Tiles of at most `tile` cells that answer for every cell once and see `overlap` cells around it.

    Example:
        >>> [tuple(span) for span in spans(7, tile=5, overlap=1)]
        [(0, 4, 0, 3), (2, 7, 3, 6), (5, 7, 6, 7)]
    """
    step = tile - 2 * overlap
    if overlap < 0 or step < 1:
        raise ValueError(f"tiles of {tile} cells with {overlap} of overlap on both sides leave {step} cells")
    for first in range(0, cells, step):
        last = min(first + step, cells)
        yield Span(max(first - overlap, 0), min(last + overlap, cells), first, last)


@torch.no_grad()
def encode_tiled(
    tokenizer: ImageTokenizer, images: Float[Tensor, "b 3 H W"], *, tile: int = 32, overlap: int = 4
) -> Int64[Tensor, "b h n"]:
    """Codes of images, tile by tile.

    Args:
        tokenizer: who encodes.
        images: in [-1, 1].
        tile: cells a side of a tile, its overlaps included.
        overlap: cells around those that a tile answers for.

    Raises:
        ValueError: nothing is left of a tile beside its overlaps, or the images are of a wrong size.
    """
    tokenizer._check_images(images)
    cell, depth = tokenizer.cell, tokenizer.depth
    rows = []
    for down in spans(images.shape[2] // cell, tile=tile, overlap=overlap):
        row = []
        for across in spans(images.shape[3] // cell, tile=tile, overlap=overlap):
            part = images[
                :, :, down.start * cell : down.stop * cell, across.start * cell : across.stop * cell
            ]
            codes = tokenizer.encode(part).codes
            left = (across.first - across.start) * depth
            right = (across.last - across.start) * depth
            row.append(codes[:, down.first - down.start : down.last - down.start, left:right])
        rows.append(torch.cat(row, dim=2))
    return torch.cat(rows, dim=1)


@torch.no_grad()
def decode_tiled(
    tokenizer: ImageTokenizer, codes: Int64[Tensor, "b h n"], *, tile: int = 32, overlap: int = 4
) -> Float[Tensor, "b 3 H W"]:
    """Images of codes, tile by tile; where tiles overlap they fade into each other.

    Args:
        tokenizer: who decodes.
        codes: of whole images.
        tile: cells a side of a tile, its overlaps included.
        overlap: cells around those that a tile answers for.
    """
    cell, depth = tokenizer.cell, tokenizer.depth
    height, width = codes.shape[1], codes.shape[2] // depth
    total = torch.zeros((len(codes), 3, height * cell, width * cell), device=codes.device)
    weight = torch.zeros_like(total[:1, :1])
    for down in spans(height, tile=tile, overlap=overlap):
        for across in spans(width, tile=tile, overlap=overlap):
            part = codes[:, down.start : down.stop, across.start * depth : across.stop * depth]
            fade = _fade(down, cell)[:, None] * _fade(across, cell)
            place = (
                slice(None),
                slice(None),
                slice(down.start * cell, down.stop * cell),
                slice(across.start * cell, across.stop * cell),
            )
            total[place] += tokenizer.decode(part).float() * fade.to(total.device)
            weight[place] += fade.to(total.device)
    return total / weight


def _fade(span: Span, cell: int) -> Float[Tensor, " n"]:
    """Weights of a tile's pixels along one side: they rise to 1 over twice the overlap, as the neighbour also
    reaches over the border."""
    size, weights = (span.stop - span.start) * cell, torch.ones((span.stop - span.start) * cell)
    places = torch.arange(size) + 0.5
    for overlap, distance in ((span.first - span.start, places), (span.stop - span.last, size - places)):
        if overlap:
            weights = weights.minimum(distance / (2 * overlap * cell))
    return weights
