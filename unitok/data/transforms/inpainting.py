"""Documents for inpainting: the image with a hole, its caption, the whole image. Knows no tokenizer.

A causal model draws a cell after those above it and to its left; what lies below a hole it can only heed if
it is shown first. (CM3, arXiv:2201.07520, has what follows a hole go before it too.)
"""

from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from unitok.data.keyed_random import uniform
from unitok.data.source import Source
from unitok.document import Document, Segment
from unitok.modalities.image_masks import Mask, blacken, random_cells

SCATTERED = 0.25
"""Share of the documents whose free cells lie anywhere; those of the others are a rectangle."""


class Fills(Source):
    """Pairs of text and picture as holes to fill: the picture with black cells, its text, the whole picture.

    The last alone is learned. `model.fills: true` then tells the exported model to show pictures so when it
    inpaints.

    Args:
        source: of pairs (text, image). Of pictures of another aspect ratio than the grid's the middle is
            taken.
        grid: rows and columns of a picture's cells, `data.image_shape` of the training.
        seed: of the holes, each a pure function of the seed and the index.

    Raises:
        ValueError: the grid is no two numbers from 1. What is no such pair, or has fewer pixels than the grid
            cells, is a fault when it is read.
    """

    def __init__(self, source: Source, grid: tuple[int, int], seed: int = 0):
        if len(grid) != 2 or min(grid) < 1:
            raise ValueError(f"grid is the rows and columns of a picture's cells, not {grid}")
        self.source, self.grid, self.seed = source, tuple(grid), seed
        self.faults = source.faults

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Document:
        document = self.source[index]
        if [segment.modality for segment in document] != ["text", "image"]:
            found = ", ".join(segment.modality for segment in document)
            raise ValueError(f"document {index} is no pair of text and image to fill, but {found}")
        text, image = document
        whole = middle(image.content, self.grid)
        shown = blacken(whole, self.hole(index))
        return (
            Segment("image", shown, learn=False),
            Segment("text", text.content, learn=False),
            replace(image, content=whole),
        )

    def hole(self, index: int) -> Mask:
        """The free cells of a document."""
        kind, share, *sides = (uniform(self.seed, 0, index, name) for name in ("kind", "share", *"abcd"))
        if kind < SCATTERED:
            return random_cells(*self.grid, share, seed=int(share * 2**32))
        return rectangle(self.grid, sides)


def middle(picture: Image.Image, grid: tuple[int, int]) -> Image.Image:
    """The most of a picture that is the grid's cells, each as many whole pixels a side."""
    rows, columns = grid
    cell = min(picture.width // columns, picture.height // rows)
    if cell == 0:
        raise ValueError(
            f"a picture of {picture.width} x {picture.height} pixels has no {columns} x {rows} cells"
        )
    size = (columns * cell, rows * cell)
    return picture if picture.size == size else ImageOps.fit(picture, size)


def rectangle(grid: tuple[int, int], draws: list[float]) -> Mask:
    """A rectangle of cells, each height and width from one cell to all equally likely, then each place.

    Args:
        grid: rows and columns.
        draws: numbers in [0, 1): height, width, top, left.
    """
    sides = [1 + int(draw * most) for draw, most in zip(draws[:2], grid, strict=True)]
    starts = [int(draw * (most - n + 1)) for draw, most, n in zip(draws[2:], grid, sides, strict=True)]
    free = np.zeros(grid, bool)
    (top, left), (height, width) = starts, sides
    free[top : top + height, left : left + width] = True
    return free
