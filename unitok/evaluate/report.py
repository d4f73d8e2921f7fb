"""Measures a model on captioned images and writes the report. Knows only a model's public calls."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from unitok.api.contact_sheet import sheet, write_png
from unitok.api.unitok import UniTok
from unitok.atomic_files import write_text
from unitok.document import Segment

MAX_SHOWN = 24  # images on a contact sheet


class JudgedSet(NamedTuple):
    """Images with a true caption each, and a judge.

    `caption_is_right(caption, i)` tells whether a caption is true of image `i`; `drawing_is_right(image,
    caption)` whether an image shows its caption, or is None if there is no judge of drawings.
    """

    images: Sequence[Image.Image]
    captions: Sequence[str]
    caption_is_right: Callable[[str, int], bool]
    drawing_is_right: Callable[[Image.Image, str], bool] | None = None

    def judge(self, images: Sequence[Image.Image]) -> list[bool | None]:
        """Whether each image shows its caption; None without a judge of drawings."""
        if self.drawing_is_right is None:
            return [None] * len(images)
        return [self.drawing_is_right(image, text) for image, text in zip(images, self.captions, strict=True)]

    def describes(self, caption: str, image: Image.Image, prompt: str) -> bool:
        """Whether a caption is true of an image drawn from a prompt; without a judge of drawings, whether it
        equals the prompt."""
        if self.drawing_is_right is None:
            return caption == prompt
        try:
            return self.drawing_is_right(image, caption)
        except ValueError:  # not a caption of this world
            return False


@dataclass
class Report:
    """Figures by name, and contact sheets with the images behind some of them."""

    figures: dict[str, float | int | str] = field(default_factory=dict)
    sheets: dict[str, Image.Image] = field(default_factory=dict)

    def __or__(self, other: "Report") -> "Report":
        """Merges two reports."""
        return Report(self.figures | other.figures, self.sheets | other.sheets)

    def save(self, directory: Path) -> None:
        """Write report.json and a PNG per sheet."""
        write_text(directory / "report.json", json.dumps(self.figures, indent=2) + "\n")
        for name, image in self.sheets.items():
            write_png(directory / f"{name}.png", image)

    def show(self, title: str) -> None:
        """Print the figures as a table."""
        table = Table("figure", "value", title=title)
        for name, value in self.figures.items():
            table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
        Console().print(table)


def measure(model: UniTok, judged_set: JudgedSet, *, prefix: str = "", batch_size: int = 128) -> Report:
    """Caption every image, draw every caption with the model's defaults, and judge the results.

    Figures are shares in 0..1; `image_accuracy` is absent without a judge of drawings. Each caption is drawn
    with its own seed, so that a caption of many images gives many drawings. The drawings are then captioned
    from their pixels: `drawing_caption_accuracy` is the share, of those that the judge has not found wrong,
    whose captions are true of them.
    """
    captions = model.caption(judged_set.images, batch_size=batch_size)
    captions_right = [judged_set.caption_is_right(text, i) for i, text in enumerate(captions)]
    prompts = judged_set.captions
    drawings = model.draw(prompts, seed=range(len(prompts)), batch_size=batch_size)
    drawings_right = judged_set.judge(drawings)
    recaptioned = _recaption_accuracy(model, judged_set, drawings, drawings_right, batch_size)
    return Report(
        {f"{prefix}caption_accuracy": share(captions_right)}
        | _accuracy(f"{prefix}image_accuracy", drawings_right)
        | {f"{prefix}drawing_caption_accuracy": recaptioned},
        {
            f"{prefix}samples": _drawings_sheet(judged_set, drawings[:MAX_SHOWN], drawings_right[:MAX_SHOWN]),
            f"{prefix}captions": captions_sheet(judged_set, captions[:MAX_SHOWN], captions_right[:MAX_SHOWN]),
        },
    )


def measure_tokenizer(model: UniTok, judged_set: JudgedSet, *, batch_size: int = 128) -> Report:
    """Reconstruct every image: PSNR in dB, codebook usage, and the judge's verdicts on the reconstructions.

    `surviving_codes` is the share of codes that encode(decode(codes)) returns, and
    `reconstruction_caption_accuracy` the share of reconstructions with a right caption.
    """
    modality = model.codec.image
    images, reconstructions, used_codes, surviving = judged_set.images, [], set(), []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        codes = model.codec.encode_many([(Segment("image", image),) for image in batch])
        decoded = model.codec.decode_many(codes)
        for before, after in zip(codes, model.codec.encode_many(decoded), strict=True):
            surviving.append(float((before[0].codes == after[0].codes).cpu().double().mean()))
        reconstructions += [document[0].content for document in decoded]
        used_codes.update(code for document in codes for code in document[0].codes.tolist())
    captions = model.caption(reconstructions, batch_size=batch_size)
    captions_right = [judged_set.caption_is_right(text, i) for i, text in enumerate(captions)]
    pairs = list(zip(images, reconstructions, strict=True))
    psnr = [_psnr(modality.fit(before), after) for before, after in pairs]
    shown = [image for pair in pairs[: MAX_SHOWN // 2] for image in pair]
    return Report(
        {"psnr": float(np.mean(psnr)), "codebook_usage": len(used_codes) / modality.codebook_size}
        | {"surviving_codes": float(np.mean(surviving))}
        | {"reconstruction_caption_accuracy": share(captions_right)}
        | _accuracy("reconstruction_accuracy", judged_set.judge(reconstructions)),
        {"reconstructions": sheet(shown, ["image", "reconstruction"] * (len(shown) // 2))},
    )


def _recaption_accuracy(
    model: UniTok,
    judged_set: JudgedSet,
    drawings: Sequence[Image.Image],
    verdicts: Sequence[bool | None],
    batch_size: int,
) -> float:
    """Share of the drawings, except those judged wrong, whose captions are true of them."""
    indices = [i for i, verdict in enumerate(verdicts) if verdict is not False]
    captions = model.caption([drawings[i] for i in indices], batch_size=batch_size) if indices else []
    pairs = zip(captions, indices, strict=True)
    return share([judged_set.describes(text, drawings[i], judged_set.captions[i]) for text, i in pairs])


def _drawings_sheet(
    judged_set: JudgedSet, drawings: Sequence[Image.Image], verdicts: Sequence[bool | None]
) -> Image.Image:
    """Drawings with their captions; without a judge, each drawing stands beside the true image."""
    if judged_set.drawing_is_right is not None:
        return sheet(drawings, judged_set.captions[: len(drawings)], marks=verdicts)
    shown = list(zip(drawings, judged_set.images, judged_set.captions, strict=False))
    return sheet(
        [image for drawing, true, _ in shown for image in (drawing, true)],
        [label for _, _, text in shown for label in (text, "(true image)")],
    )


def captions_sheet(judged_set: JudgedSet, captions: Sequence[str], verdicts: Sequence[bool]) -> Image.Image:
    """Images with the model's captions; a wrong one is followed by the true caption."""
    labels = [
        text if right else f"{text} [true: {true}]"
        for text, right, true in zip(captions, verdicts, judged_set.captions, strict=False)
    ]
    return sheet(judged_set.images[: len(labels)], labels, marks=verdicts)


def _psnr(before: Image.Image, after: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB; at most 78, for equal images."""
    difference = np.asarray(before, np.float32) - np.asarray(after, np.float32)
    return float(10 * np.log10(255**2 / max(float(np.square(difference).mean()), 1e-3)))


def _accuracy(name: str, verdicts: Sequence[bool | None]) -> dict[str, float]:
    return {} if None in verdicts else {name: share(verdicts)}


def share(values: Sequence[bool]) -> float:
    """The share of true ones; 0 of none."""
    return sum(values) / max(1, len(values))
