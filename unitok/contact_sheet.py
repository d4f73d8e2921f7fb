"""Contact sheets: images with their captions in a grid, as one PNG. Knows no model."""

import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from unitok.atomic_files import file_beside
from unitok.pixels import as_rgb

GAP, LINE, MOST_LINES, INK, PAPER = 8, 13, 6, (40, 40, 40), (255, 255, 255)
RIGHT, WRONG = (30, 140, 60), (190, 40, 40)


def sheet(
    images: Sequence[Image.Image],
    labels: Sequence[str],
    *,
    columns: int = 8,
    side: int = 128,
    marks: Sequence[bool | None] | None = None,
) -> Image.Image:
    """A grid of pictures with a label under each.

    Args:
        images: pictures of any size; small ones are enlarged without smoothing.
        labels: one a picture; wrapped, and cut after six lines.
        columns: pictures a row.
        side: pixels of a picture's longer side on the sheet.
        marks: True prints the label in green, False in red, None in black.
    """
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} pictures and {len(labels)} labels")
    marks = marks or [None] * len(images)
    font = ImageFont.load_default(size=LINE - 2)
    wrapped = [_wrapped(label, font, side) for label in labels]
    columns = max(1, min(columns, len(images)))
    lines = max((len(words) for words in wrapped), default=1)
    pictures = [_enlarged(image, side) for image in images]
    tallest = max((picture.height for picture in pictures), default=side)
    cell_width, cell_height = side + GAP, tallest + GAP + lines * LINE
    rows = -(-len(images) // columns)
    page = Image.new("RGB", (columns * cell_width + GAP, rows * cell_height + GAP), PAPER)
    draw = ImageDraw.Draw(page)
    for i, (picture, words, mark) in enumerate(zip(pictures, wrapped, marks, strict=True)):
        x, y = GAP + i % columns * cell_width, GAP + i // columns * cell_height
        page.paste(picture, (x, y))
        ink = INK if mark is None else (RIGHT if mark else WRONG)
        for n, line in enumerate(words):
            draw.text((x, y + tallest + 1 + n * LINE), line, fill=ink, font=font)
    return page


def _wrapped(label: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """A label as lines of at most `width` pixels; words that are wider are broken."""
    lines = [""]
    for word in label.split():
        for piece in _pieces(word, font, width):
            longer = f"{lines[-1]} {piece}".lstrip()
            lines[-1:] = [longer] if font.getlength(longer) <= width else [lines[-1], piece]
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], "…"]


def _pieces(word: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    pieces = [""]
    for letter in word:
        longer = pieces[-1] + letter
        pieces[-1:] = [longer] if font.getlength(longer) <= width else [pieces[-1], letter]
    return pieces


def _enlarged(image: Image.Image, side: int) -> Image.Image:
    image = as_rgb(image)
    scale = side / max(image.size)
    resample = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return image.resize([max(1, round(length * scale)) for length in image.size], resample)


def side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    """Pictures in a row, at their own sizes; raises ValueError where there is none."""
    if not images:
        raise ValueError("no picture to put beside another")
    if len(images) == 1:
        return images[0]
    images = [as_rgb(image) for image in images]
    width = sum(image.width for image in images) + GAP * (len(images) - 1)
    row, x = Image.new("RGB", (width, max(image.height for image in images)), PAPER), 0
    for image in images:
        row.paste(image, (x, 0))
        x += image.width + GAP
    return row


def write_png(path: str | Path, image: Image.Image) -> None:
    """Write an image as a PNG file; it is complete or absent."""
    with file_beside(path) as beside:
        image.save(beside, "PNG")


def save_drawings(images: Sequence[Image.Image], prompts: Sequence[str], directory: Path) -> list[Path]:
    """Write what `draw` returned for prompts as PNG files, and a contact sheet; returns the paths."""
    copies = len(images) // len(prompts)
    paths = []
    for i, image in enumerate(images):
        name = re.sub(r"[^a-z0-9]+", "-", prompts[i // copies].lower()).strip("-")[:48] or "picture"
        paths.append(directory / f"{i // copies:02d}-{name}-{i % copies}.png")
        write_png(paths[-1], image)
    paths.append(directory / "sheet.png")
    labels = [prompts[i // copies] for i in range(len(images))]
    write_png(paths[-1], sheet(images, labels, columns=min(copies, 8) if copies > 1 else 6))
    return paths
