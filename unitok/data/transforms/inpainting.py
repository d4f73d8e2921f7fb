"""Documents for inpainting: the image with a hole, its caption, the whole image. Knows no tokenizer.

A causal model generates a cell after those above it and to its left, so that it can only use the content
below a hole if the image comes first. (CM3, arXiv:2201.07520, also puts the content after a hole before it.)
"""

from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from unitok.data.keyed_random import uniform
from unitok.data.source import Source
from unitok.document import Document, Segment
from unitok.modalities.image_masks import Mask, blacken, random_cells

SCATTERED_SHARE = 0.25
"""Share of the documents with free cells at random places; in the others they form a rectangle."""


class Fills(Source):
    """Inpainting documents from pairs of text and image: the image with black cells, its text, the image.

    Only the last is learned. `model.fills: true` then makes the exported model use this prompt when it
    inpaints.

    Args:
        source: of pairs (text, image). Images of another aspect ratio than the grid are centre-cropped.
        grid: rows and columns of an image's cells, `data.codec.image_shape` of the training.
        seed: of the holes, each a pure function of the seed and the index.

    Raises:
        ValueError: the grid is not two numbers of at least 1. A document that is no such pair, or an image
            with fewer pixels than the grid has cells, is a fault when it is read.
    """

    def __init__(self, source: Source, grid: tuple[int, int], seed: int = 0):
        if len(grid) != 2 or min(grid) < 1:
            raise ValueError(f"grid must be the rows and columns of an image's cells, got {grid}")
        self.source, self.grid, self.seed = source, tuple(grid), seed
        self.faults = source.faults

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Document:
        document = self.source[index]
        if [segment.modality for segment in document] != ["text", "image"]:
            modalities = ", ".join(segment.modality for segment in document)
            raise ValueError(f"document {index}: must be a pair of text and image, got {modalities}")
        text, image = document
        whole = crop_to_grid(image.content, self.grid)
        return (
            Segment("image", blacken(whole, self.hole(index)), learn=False),
            Segment("text", text.content, learn=False),
            replace(image, content=whole),
        )

    def hole(self, index: int) -> Mask:
        """The free cells of a document."""
        kind, share, *sides = (uniform(self.seed, 0, index, name) for name in ("kind", "share", *"abcd"))
        if kind < SCATTERED_SHARE:
            return random_cells(*self.grid, share, seed=int(share * 2**32))
        return rectangle(self.grid, sides)


def crop_to_grid(image: Image.Image, grid: tuple[int, int]) -> Image.Image:
    """Crops and scales an image to the grid, with the largest cells of whole pixels that fit."""
    rows, columns = grid
    cell = min(image.width // columns, image.height // rows)
    if cell == 0:
        raise ValueError(f"an image of {image.width} x {image.height} pixels has no {columns} x {rows} cells")
    size = (columns * cell, rows * cell)
    return image if image.size == size else ImageOps.fit(image, size)


def rectangle(grid: tuple[int, int], numbers: list[float]) -> Mask:
    """Samples a rectangle of cells: first its height and width, then its place, each uniformly.

    Args:
        grid: rows and columns.
        numbers: random numbers in [0, 1) for height, width, top and left.
    """
    sides = [1 + int(number * count) for number, count in zip(numbers[:2], grid, strict=True)]
    starts = [
        int(number * (count - side + 1)) for number, count, side in zip(numbers[2:], grid, sides, strict=True)
    ]
    free = np.zeros(grid, bool)
    (top, left), (height, width) = starts, sides
    free[top : top + height, left : left + width] = True
    return free
