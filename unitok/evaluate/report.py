"""Measures a whole model on a world whose truth is known, and shows it. Knows the model by its public calls alone."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from unitok.bundle import UniTok
from unitok.document import Segment
from unitok.pictures import sheet


class World(NamedTuple):
    """Pictures with a true caption each, and who judges them.

    `drawing_right(picture, caption)` says whether a picture shows what the caption says; `caption_right(caption, i)`
    whether a caption is true of picture `i`.
    """

    pictures: Sequence[Image.Image]
    captions: Sequence[str]
    drawing_right: Callable[[Image.Image, str], bool]
    caption_right: Callable[[str, int], bool]


@dataclass
class Report:
    """Figures by name, and the pictures behind some of them."""

    figures: dict[str, float | int | str] = field(default_factory=dict)
    sheets: dict[str, Image.Image] = field(default_factory=dict)

    def save(self, directory: Path) -> None:
        """Write report.json and a PNG per sheet."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "report.json").write_text(json.dumps(self.figures, indent=2) + "\n")
        for name, page in self.sheets.items():
            page.save(directory / f"{name}.png")

    def show(self, title: str) -> None:
        """Print the figures as a table."""
        table = Table("figure", "value", title=title)
        for name, value in self.figures.items():
            table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
        Console().print(table)


def measure(model: UniTok, world: World, *, prefix: str = "", batch_size: int = 128, shown: int = 24) -> Report:
    """Caption every picture and draw every caption with the model's defaults, and let the world judge."""
    written = model.caption(world.pictures, batch_size=batch_size)
    drawn = model.draw(world.captions, batch_size=batch_size)
    said = [world.caption_right(text, i) for i, text in enumerate(written)]
    right = [world.drawing_right(image, text) for image, text in zip(drawn, world.captions, strict=True)]
    report = Report({f"{prefix}caption_accuracy": _share(said), f"{prefix}image_accuracy": _share(right)})
    report.sheets[f"{prefix}samples"] = sheet(drawn[:shown], world.captions[:shown], marks=right[:shown])
    report.sheets[f"{prefix}captions"] = sheet(world.pictures[:shown], written[:shown], marks=said[:shown])
    return report


def measure_tokenizer(model: UniTok, world: World, *, batch_size: int = 128) -> Report:
    """Reconstruct every picture: PSNR, share of the codebook in use, and how often the judge still agrees."""
    again, used, errors = [], set(), []
    for start in range(0, len(world.pictures), batch_size):
        part = world.pictures[start : start + batch_size]
        codes = model.codec.encode_many([(Segment("image", picture),) for picture in part])
        again += [document[0].content for document in model.codec.decode_many(codes)]
        used.update(code for document in codes for code in document[0].codes.tolist())
    for before, after in zip(world.pictures, again, strict=True):
        fitted = model.codec.modalities["image"].fit(before)
        difference = np.asarray(fitted, np.float32) - np.asarray(after, np.float32)
        errors.append(10 * np.log10(255**2 / max(float(np.square(difference).mean()), 1e-3)))
    right = [world.drawing_right(image, text) for image, text in zip(again, world.captions, strict=True)]
    return Report(
        {
            "psnr": float(np.mean(errors)),
            "codebook_usage": len(used) / model.codec.modalities["image"].codebook_size,
            "reconstruction_accuracy": _share(right),
        },
        {"reconstructions": sheet(_interleaved(world.pictures, again, 12), ["picture", "again"] * 12)},
    )


def _interleaved(before: Sequence[Image.Image], after: Sequence[Image.Image], count: int) -> list[Image.Image]:
    return [image for pair in zip(before[:count], after[:count], strict=True) for image in pair]


def _share(values: Sequence[bool]) -> float:
    return sum(values) / max(1, len(values))
