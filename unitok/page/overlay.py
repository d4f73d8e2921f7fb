"""Draws boxes, points, grids and heat maps onto images. Knows pixels, no model and no page."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unitok.modalities.geometry import Box, Point
from unitok.pixels import as_rgb

SIDE = 384
"""Pixels of the longer side to which small images are enlarged."""
INKS = ((214, 39, 40), (31, 119, 180), (44, 160, 44), (148, 103, 189), (255, 127, 14))
HEAT = np.array([(255, 255, 245), (254, 227, 145), (254, 153, 41), (204, 76, 2), (102, 37, 6)], np.float64)
"""Colours from likely to unlikely."""


def enlarge(image: Image.Image, *, side: int = SIDE) -> Image.Image:
    """Enlarge a small image by an integer factor, to at most `side` pixels, without smoothing."""
    image = as_rgb(image)
    factor = max(1, side // max(image.size))
    size = image.width * factor, image.height * factor
    return image.resize(size, Image.Resampling.NEAREST)


def draw_places(image: Image.Image, places: Sequence[Box | Point]) -> Image.Image:
    """Draw boxes and points, numbered from 1, onto an enlarged copy."""
    copy = enlarge(image)
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


def draw_grid(
    image: Image.Image,
    labels: Sequence[Sequence[str]],
    *,
    chosen: tuple[int, int] | None = None,
    changed: Sequence[tuple[int, int]] = (),
) -> Image.Image:
    """Draw a grid with a label in each cell onto an enlarged, paler copy.

    Args:
        image: the image below the grid.
        labels: rows of texts; labels that do not fit into their cells are omitted.
        chosen: (row, column) of the selected cell.
        changed: cells to highlight.
    """
    copy = Image.blend(enlarge(image), Image.new("RGB", enlarge(image).size, "white"), 0.45)
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


def draw_heat_map(image: Image.Image, nats: Sequence[Sequence[float]]) -> Image.Image:
    """Draw a heat map onto an enlarged copy, pale where a cell was likely and dark where it was surprising.

    Args:
        image: the image below the colours.
        nats: -log p of each cell, row by row, also written into the cells.
    """
    values = np.array(nats)
    share = values / max(values.max(), 1e-6)
    stops = np.linspace(0, 1, len(HEAT))
    colours = np.stack([np.interp(share, stops, HEAT[:, c]) for c in range(3)], axis=-1).astype(np.uint8)
    copy = enlarge(image)
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
