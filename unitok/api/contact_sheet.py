"""Contact sheets: images with their captions in a grid, as one PNG. Knows no model."""

import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from unitok.atomic_files import atomic_file
from unitok.pixels import as_rgb

GAP, LINE, MAX_LINES, INK, PAPER = 8, 13, 6, (40, 40, 40), (255, 255, 255)
RIGHT, WRONG = (30, 140, 60), (190, 40, 40)


def sheet(
    images: Sequence[Image.Image],
    labels: Sequence[str],
    *,
    columns: int = 8,
    side: int = 128,
    marks: Sequence[bool | None] | None = None,
    title: str = "",
) -> Image.Image:
    """Renders a grid of images with a label under each.

    Args:
        images: images of any size; small ones are enlarged without smoothing.
        labels: one per image; wrapped, and truncated after six lines.
        columns: images per row.
        side: pixels of an image's longer side on the sheet.
        marks: True prints the label in green, False in red, None in black.
        title: a line above the grid.
    """
    if len(images) != len(labels):
        raise ValueError(f"images and labels must be equally many, got {len(images)} and {len(labels)}")
    marks = marks or [None] * len(images)
    font = ImageFont.load_default(size=LINE - 2)
    wrapped = [_wrap(label, font, side) for label in labels]
    columns = max(1, min(columns, len(images)))
    line_count = max((len(lines) for lines in wrapped), default=1)
    images = [_resize(image, side) for image in images]
    tallest = max((image.height for image in images), default=side)
    cell_width, cell_height = side + GAP, tallest + GAP + line_count * LINE
    rows, top = -(-len(images) // columns), GAP + (LINE + GAP if title else 0)
    canvas = Image.new("RGB", (columns * cell_width + GAP, rows * cell_height + top), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((GAP, GAP), title, fill=INK, font=font)
    for i, (image, lines, mark) in enumerate(zip(images, wrapped, marks, strict=True)):
        x, y = GAP + i % columns * cell_width, top + i // columns * cell_height
        canvas.paste(image, (x, y))
        ink = INK if mark is None else (RIGHT if mark else WRONG)
        for n, line in enumerate(lines):
            draw.text((x, y + tallest + 1 + n * LINE), line, fill=ink, font=font)
    return canvas


def _wrap(label: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Wraps a label into lines of at most `width` pixels; wider words are broken."""
    lines = [""]
    for word in label.split():
        for piece in _break_word(word, font, width):
            longer = f"{lines[-1]} {piece}".lstrip()
            lines[-1:] = [longer] if font.getlength(longer) <= width else [lines[-1], piece]
    return lines if len(lines) <= MAX_LINES else [*lines[: MAX_LINES - 1], "…"]


def _break_word(word: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    pieces = [""]
    for letter in word:
        longer = pieces[-1] + letter
        pieces[-1:] = [longer] if font.getlength(longer) <= width else [pieces[-1], letter]
    return pieces


def _resize(image: Image.Image, side: int) -> Image.Image:
    image = as_rgb(image)
    scale = side / max(image.size)
    resample = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return image.resize([max(1, round(length * scale)) for length in image.size], resample)


def side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    """Puts images in a row, at their own sizes. Raises ValueError without images."""
    if not images:
        raise ValueError("images must not be empty")
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
    """Writes an image as a PNG file, atomically."""
    with atomic_file(path) as temporary:
        image.save(temporary, "PNG")


def save_images(images: Sequence[Image.Image], prompts: Sequence[str], directory: Path) -> list[Path]:
    """Writes the images that `draw` returned for prompts, and a contact sheet, as PNG; returns the paths."""
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
