"""Draws boxes, points, grids and heat maps onto images. Knows pixels, no model and no page."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unitok.modalities.geometry import Box, Point
from unitok.pixels import as_rgb

SIDE = 384
"""Pixels to which the longer side of a small picture is enlarged."""
INKS = ((214, 39, 40), (31, 119, 180), (44, 160, 44), (148, 103, 189), (255, 127, 14))
HEAT = np.array([(255, 255, 245), (254, 227, 145), (254, 153, 41), (204, 76, 2), (102, 37, 6)], np.float64)
"""From likely to unlikely."""


def enlarged(picture: Image.Image, *, side: int = SIDE) -> Image.Image:
    """A small picture by the whole factor that brings its longer side to at most `side`, unsmoothed."""
    picture = as_rgb(picture)
    factor = max(1, side // max(picture.size))
    size = picture.width * factor, picture.height * factor
    return picture.resize(size, Image.Resampling.NEAREST)


def with_places(picture: Image.Image, places: Sequence[Box | Point]) -> Image.Image:
    """An enlarged copy with boxes and points, numbered from 1 in the order given."""
    copy = enlarged(picture)
    pen, font = ImageDraw.Draw(copy), ImageFont.load_default(size=16)
    for number, place in enumerate(places, 1):
        ink = INKS[(number - 1) % len(INKS)]
        numbers = place.pixels(copy.width - 1, copy.height - 1)
        if isinstance(place, Point):
            x, y = numbers
            pen.ellipse((x - 7, y - 7, x + 7, y + 7), outline="white", fill=ink, width=2)
        else:
            x, y = numbers[:2]
            pen.rectangle(numbers, outline=ink, width=3)
        _label(pen, str(number), (x + 6, y + 4), ink=ink, font=font)
    return copy


def with_grid(
    picture: Image.Image,
    labels: Sequence[Sequence[str]],
    *,
    chosen: tuple[int, int] | None = None,
    changed: Sequence[tuple[int, int]] = (),
) -> Image.Image:
    """An enlarged, paler copy under a grid with a label a cell.

    Args:
        picture: what lies under the grid.
        labels: rows of texts; left out where the cells are too small for them.
        chosen: (row, column) of the cell with a thick frame.
        changed: cells with a coloured frame.
    """
    copy = Image.blend(enlarged(picture), Image.new("RGB", enlarged(picture).size, "white"), 0.45)
    pen, (down, across) = ImageDraw.Draw(copy), (copy.height / len(labels), copy.width / len(labels[0]))
    font = ImageFont.load_default(size=max(8, min(18, across / 3.2)))
    for row, texts in enumerate(labels):
        for column, text in enumerate(texts):
            x, y = column * across, row * down
            pen.rectangle((x, y, x + across, y + down), outline=(150, 150, 150))
            if font.getlength(text) <= across - 4:
                middle = x + across / 2, y + down / 2
                pen.text(middle, text, fill=(20, 20, 20), font=font, anchor="mm")
    for cells, ink in ((changed, INKS[4]), ([chosen] if chosen else [], INKS[0])):
        for row, column in cells:
            frame = (column * across, row * down, (column + 1) * across - 1, (row + 1) * down - 1)
            pen.rectangle(frame, outline=ink, width=4)
    return copy


def with_heat(picture: Image.Image, nats: Sequence[Sequence[float]]) -> Image.Image:
    """An enlarged copy under colours, pale where a cell was expected and dark where it surprised.

    Args:
        picture: what lies under the colours.
        nats: -log p of each cell, row by row; the numbers are written into the cells.
    """
    values = np.array(nats)
    share = values / max(values.max(), 1e-6)
    stops = np.linspace(0, 1, len(HEAT))
    colours = np.stack([np.interp(share, stops, HEAT[:, c]) for c in range(3)], axis=-1).astype(np.uint8)
    copy = enlarged(picture)
    heat = Image.fromarray(colours).resize(copy.size, Image.Resampling.NEAREST)
    copy = Image.blend(copy, heat, 0.72)
    pen, (down, across) = ImageDraw.Draw(copy), (copy.height / len(values), copy.width / len(values[0]))
    font = ImageFont.load_default(size=max(8, min(16, across / 3.5)))
    for (row, column), value in np.ndenumerate(values):
        text = f"{value:.1f}"
        if font.getlength(text) <= across - 4:
            middle = (column + 0.5) * across, (row + 0.5) * down
            ink = "white" if share[row, column] > 0.6 else "black"
            pen.text(middle, text, fill=ink, font=font, anchor="mm")
    return copy


def _label(pen: ImageDraw.ImageDraw, text: str, place: tuple, *, ink: tuple, font: ImageFont.FreeTypeFont):
    edges = pen.textbbox(place, text, font=font)
    pen.rectangle((edges[0] - 3, edges[1] - 2, edges[2] + 3, edges[3] + 2), fill=ink)
    pen.text(place, text, fill="white", font=font)
