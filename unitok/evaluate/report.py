"""Measures a model on captioned images and writes the report. Knows a model's public calls alone."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from unitok.api.unitok import UniTok
from unitok.atomic_files import write_text
from unitok.contact_sheet import sheet, write_png
from unitok.document import Segment
from unitok.modalities.image import ImageModality

SHOWN = 24  # pictures on a sheet


class JudgedSet(NamedTuple):
    """Pictures with a true caption each, and who judges them.

    `caption_right(caption, i)` says whether a caption is true of picture `i`;
    `drawing_right(picture, caption)` whether a picture shows what a caption says, None where nobody can tell.
    """

    pictures: Sequence[Image.Image]
    captions: Sequence[str]
    caption_right: Callable[[str, int], bool]
    drawing_right: Callable[[Image.Image, str], bool] | None = None

    def judge(self, pictures: Sequence[Image.Image]) -> list[bool | None]:
        """Whether each picture shows its caption; None where nobody can tell."""
        if self.drawing_right is None:
            return [None] * len(pictures)
        return [self.drawing_right(image, text) for image, text in zip(pictures, self.captions, strict=True)]

    def describes(self, caption: str, image: Image.Image, prompt: str) -> bool:
        """Whether a caption is true of an image that was drawn from a prompt: by the judge of drawings, or,
        where there is none, because it is the prompt."""
        if self.drawing_right is None:
            return caption == prompt
        try:
            return self.drawing_right(image, caption)
        except ValueError:  # no caption of this world
            return False


@dataclass
class Report:
    """Figures by name, and the pictures behind some of them."""

    figures: dict[str, float | int | str] = field(default_factory=dict)
    sheets: dict[str, Image.Image] = field(default_factory=dict)

    def __or__(self, other: "Report") -> "Report":
        """Both together."""
        return Report(self.figures | other.figures, self.sheets | other.sheets)

    def save(self, directory: Path) -> None:
        """Write report.json and a PNG per sheet."""
        write_text(directory / "report.json", json.dumps(self.figures, indent=2) + "\n")
        for name, page in self.sheets.items():
            write_png(directory / f"{name}.png", page)

    def show(self, title: str) -> None:
        """Print the figures as a table."""
        table = Table("figure", "value", title=title)
        for name, value in self.figures.items():
            table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
        Console().print(table)


def measure(model: UniTok, world: JudgedSet, *, prefix: str = "", batch_size: int = 128) -> Report:
    """Caption every picture and draw every caption with the model's defaults, and let the world judge.

    Figures are shares of 0..1; `image_accuracy` is absent where nobody can tell. Every caption is drawn with
    a seed of its own, so that one that stands under many pictures is drawn in many ways. The drawings are
    handed back as a user would, as pixels: `drawing_caption_accuracy` is the share of them (of those that the
    judge finds right) whose captions are true of what they show.
    """
    written = model.caption(world.pictures, batch_size=batch_size)
    said = [world.caption_right(text, i) for i, text in enumerate(written)]
    drawn = model.draw(world.captions, seed=range(len(world.captions)), batch_size=batch_size)
    right = world.judge(drawn)
    return Report(
        {f"{prefix}caption_accuracy": _share(said)}
        | _accuracy(f"{prefix}image_accuracy", right)
        | {f"{prefix}drawing_caption_accuracy": _read_back(model, world, drawn, right, batch_size)},
        {
            f"{prefix}samples": _sheet_of_drawings(world, drawn[:SHOWN], right[:SHOWN]),
            f"{prefix}captions": sheet_of_captions(world, written[:SHOWN], said[:SHOWN]),
        },
    )


def measure_tokenizer(model: UniTok, world: JudgedSet, *, batch_size: int = 128) -> Report:
    """Reconstruct every picture: PSNR in dB, share of the codebook used, how often the judge still agrees.

    `surviving_codes` is the share of codes that encode(decode(codes)) gives back, and
    `reconstruction_caption_accuracy` says how often the captions of reconstructions are right.
    """
    modality: ImageModality = model.codec.modalities["image"]
    again, used, survived = [], set(), []
    for start in range(0, len(world.pictures), batch_size):
        part = world.pictures[start : start + batch_size]
        codes = model.codec.encode_many([(Segment("image", picture),) for picture in part])
        decoded = model.codec.decode_many(codes)
        for before, after in zip(codes, model.codec.encode_many(decoded), strict=True):
            survived.append(float((before[0].codes == after[0].codes).cpu().double().mean()))
        again += [document[0].content for document in decoded]
        used.update(code for document in codes for code in document[0].codes.tolist())
    written = model.caption(again, batch_size=batch_size)
    said = [world.caption_right(text, i) for i, text in enumerate(written)]
    psnr = [_psnr(modality.fit(before), after) for before, after in zip(world.pictures, again, strict=True)]
    pairs = list(zip(world.pictures, again, strict=True))[: SHOWN // 2]
    return Report(
        {"psnr": float(np.mean(psnr)), "codebook_usage": len(used) / modality.codebook_size}
        | {"surviving_codes": float(np.mean(survived)), "reconstruction_caption_accuracy": _share(said)}
        | _accuracy("reconstruction_accuracy", world.judge(again)),
        {"reconstructions": sheet([i for pair in pairs for i in pair], ["picture", "again"] * len(pairs))},
    )


def _read_back(
    model: UniTok,
    world: JudgedSet,
    drawn: Sequence[Image.Image],
    right: Sequence[bool | None],
    batch_size: int,
) -> float:
    """Share of the drawings, but those that are wrong, whose captions are true of them."""
    kept = [i for i, verdict in enumerate(right) if verdict is not False]
    captions = model.caption([drawn[i] for i in kept], batch_size=batch_size) if kept else []
    described = zip(captions, kept, strict=True)
    return _share([world.describes(text, drawn[i], world.captions[i]) for text, i in described])


def _sheet_of_drawings(
    world: JudgedSet, drawn: Sequence[Image.Image], right: Sequence[bool | None]
) -> Image.Image:
    """Captions under the drawings; where nobody can tell, each drawing stands beside the true picture."""
    if world.drawing_right is not None:
        return sheet(drawn, world.captions[: len(drawn)], marks=right)
    shown = list(zip(drawn, world.pictures, world.captions, strict=False))
    return sheet(
        [image for picture, true, _ in shown for image in (picture, true)],
        [label for _, _, text in shown for label in (text, "(true picture)")],
    )


def sheet_of_captions(world: JudgedSet, written: Sequence[str], said: Sequence[bool]) -> Image.Image:
    """What was written under the pictures; under a wrong one also the true caption."""
    labels = [
        text if right else f"{text} [true: {true}]"
        for text, right, true in zip(written, said, world.captions, strict=False)
    ]
    return sheet(world.pictures[: len(labels)], labels, marks=said)


def _psnr(before: Image.Image, after: Image.Image) -> float:
    """Peak signal to noise in dB; at most 78, for equal pictures."""
    difference = np.asarray(before, np.float32) - np.asarray(after, np.float32)
    return float(10 * np.log10(255**2 / max(float(np.square(difference).mean()), 1e-3)))


def _accuracy(name: str, right: Sequence[bool | None]) -> dict[str, float]:
    return {} if None in right else {name: _share(right)}


def _share(values: Sequence[bool]) -> float:
    return sum(values) / max(1, len(values))
