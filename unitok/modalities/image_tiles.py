"""Images as tiles of one size: how many, in which arrangement, and their pixels. Knows no encoder."""

from functools import lru_cache

from PIL import Image


@lru_cache(maxsize=1024)
def arrange_tiles(size: tuple[int, int], tile: tuple[int, int], most: int) -> tuple[int, int]:
    """The (rows, columns) of at most so many tiles whose shape is nearest to an image's.

    Of equal ones the larger, unless it has twice the image's pixels or more (InternVL-1.5, arXiv:2404.16821,
    section 3.3).

    Args:
        size: (height, width) of the image in pixels.
        tile: (height, width) of a tile in pixels.
        most: number of tiles.
    """
    shape, best, nearest = size[1] / size[0], (1, 1), float("inf")
    counts = range(1, most + 1)
    arrangements = [(rows, columns) for columns in counts for rows in counts if rows * columns <= most]
    for rows, columns in sorted(arrangements, key=lambda one: one[0] * one[1]):
        distance = abs(shape - columns * tile[1] / (rows * tile[0]))
        pixels = rows * columns * tile[0] * tile[1]
        if distance < nearest or (distance == nearest and size[0] * size[1] > pixels / 2):
            best, nearest = (rows, columns), distance
    return best


def cut_tiles(image: Image.Image, tile: tuple[int, int]) -> list[Image.Image]:
    """The tiles (height, width) of an image whose sides are multiples of theirs, row by row."""
    height, width = tile
    return [
        image.crop((left, top, left + width, top + height))
        for top in range(0, image.height, height)
        for left in range(0, image.width, width)
    ]
