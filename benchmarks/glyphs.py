"""A set of one's own, in one command: 303 coloured letters and their names, from files to a judged model.

python benchmarks/glyphs.py [--minutes 16] [--out runs/glyphs] [--json FILE]

The letters are rendered from matplotlib's fonts and written as a stranger would have them: PNG files of 64
pixels a side, and a csv with columns of other names. Every letter lacks one colour in training, and one font
is not in it at all; the model, trained by `unitok train`, is measured on both. A judge compares drawings with
templates of all letters in all fonts; its own accuracy on the true images is printed, too.
"""

import csv
import random
import string
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from compare import Row, command_line, finish
from PIL import Image, ImageDraw, ImageFont

from unitok.api.unitok import UniTok
from unitok.evaluate.report import JudgedSet, Report, measure

LETTERS, SIDE, TRAINING = string.ascii_uppercase, 64, 303
COLOURS = {
    "red": (214, 40, 40), "orange": (245, 150, 30), "green": (40, 150, 70), "blue": (40, 90, 210),
    "purple": (130, 60, 180), "black": (20, 20, 20),
}  # fmt: skip
FONTS = ("DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSansMono", "STIXGeneralBol")
UNSEEN_FONT = "DejaVuSans"
DRAWINGS = 4
"""Of each held-out letter: of 26 drawings, two more or fewer right ones would be chance."""
BAR = 0.6


def caption(letter: str, colour: str) -> str:
    """The words of a letter."""
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} letter {letter}"


class Glyph(NamedTuple):
    """A coloured letter in a font, at a place and of a size in pixels."""

    letter: str
    colour: str
    font: str
    x: int = SIDE // 2
    y: int = SIDE // 2
    size: int = 46

    @property
    def caption(self) -> str:
        return caption(self.letter, self.colour)

    def image(self) -> Image.Image:
        folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
        font = ImageFont.truetype(str(folder / f"{self.font}.ttf"), self.size)
        image = Image.new("RGB", (SIDE, SIDE), "white")
        draw = ImageDraw.Draw(image)
        draw.text((self.x, self.y), self.letter, fill=COLOURS[self.colour], font=font, anchor="mm")
        return image


def is_held_out(letter: str, colour: str) -> bool:
    """Whether training lacks this pair: one colour of every letter."""
    return list(COLOURS).index(colour) == LETTERS.index(letter) % len(COLOURS)


def glyphs() -> dict[str, list[Glyph]]:
    """The training set, unseen pairs in its fonts, and its pairs in an unseen font."""
    chance = random.Random(0)
    pairs = [(letter, colour) for letter in LETTERS for colour in COLOURS]

    def placed(letter: str, colour: str, font: str) -> Glyph:
        return Glyph(letter, colour, font, 32 + chance.randint(-4, 4), 32 + chance.randint(-4, 4),
                     chance.randint(42, 50))  # fmt: skip

    seen = [(*pair, font) for pair in pairs if not is_held_out(*pair) for font in FONTS]
    unseen = [(*pair, FONTS[i % len(FONTS)]) for i, pair in enumerate(p for p in pairs if is_held_out(*p))]
    font = [(*pair, UNSEEN_FONT) for pair in chance.sample([p for p in pairs if not is_held_out(*p)], 26)]
    named = {"train": chance.sample(seen, TRAINING), "pairs": unseen, "font": font}
    return {name: [placed(*glyph) for glyph in some] for name, some in named.items()}


def write_set(folder: Path, parts: dict[str, list[Glyph]]) -> None:
    """PNG files and a csv; both held-out parts are its validation part."""
    rows = []
    for name, some in parts.items():
        for i, glyph in enumerate(some):
            file = folder / f"pictures/{name}{i:03d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            glyph.image().save(file)
            rows.append((f"pictures/{file.name}", glyph.caption, "train" if name == "train" else "val"))
    with (folder / "letters.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([("file", "what", "split"), *rows])


# -- the judge


def ink(image: Image.Image) -> tuple[np.ndarray, str] | None:
    """The mask of what is not ground, cut out and of a fixed size, and the nearest colour; None if empty."""
    pixels = np.asarray(image.convert("RGB"), np.float32)
    strength = np.abs(255 - pixels).max(-1) / 255
    rows, columns = np.nonzero(strength > 0.4)
    if len(rows) < 20:
        return None
    colour = np.median(pixels[strength > 0.4], axis=0)
    name = min(COLOURS, key=lambda known: float(np.square(colour - COLOURS[known]).sum()))
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    mask = Image.fromarray((255 * np.clip(strength / strength.max(), 0, 1)).astype(np.uint8))
    cut = mask.crop(tuple(map(int, box)))
    scale = 32 / max(cut.size)
    cut = cut.resize([max(1, round(scale * side)) for side in cut.size], Image.Resampling.BILINEAR)
    square = Image.new("L", (32, 32))
    square.paste(cut, ((32 - cut.width) // 2, (32 - cut.height) // 2))
    values = np.asarray(square, np.float32)
    return values / np.linalg.norm(values), name


@cache
def templates() -> tuple[str, np.ndarray]:
    """The letters of the rows of an array of all masks."""
    all_fonts = [(letter, font) for font in (*FONTS, UNSEEN_FONT) for letter in LETTERS]
    masks = [ink(Glyph(letter, "black", font).image())[0] for letter, font in all_fonts]
    return "".join(letter for letter, _ in all_fonts), np.stack(masks)


def read_glyph(image: Image.Image) -> str:
    """The caption that the judge would give; of no letter, the empty text."""
    found = ink(image)
    if found is None:
        return ""
    letters, masks = templates()
    likeness = np.einsum("nij,ij->n", masks, found[0])
    return caption(letters[int(likeness.argmax())], found[1])


def judged_set(some: list[Glyph]) -> JudgedSet:
    """Held-out letters and the judge of both directions."""
    captions = [glyph.caption for glyph in some]
    return JudgedSet(
        [glyph.image() for glyph in some],
        captions,
        caption_is_right=lambda text, i: text == captions[i],
        drawing_is_right=lambda image, text: read_glyph(image) == text,
    )


PARTS = {"pairs": "letters in a colour in which training has none", "font": "an unseen font"}


def rows(model: UniTok, parts: dict[str, list[Glyph]], out: Path) -> Iterator[Row]:
    """The figures of both held-out parts."""
    report = Report()
    for part, remark in PARTS.items():
        letters = judged_set(parts[part] * DRAWINGS)
        judge = float(np.mean(letters.judge(letters.images)))
        yield Row(f"judge on true images, {part}", judge, "", None, 0.95, judge >= 0.95, remark)
        measured = measure(model, letters, prefix=f"{part}_")
        report |= measured
        for figure, value in measured.figures.items():
            yield Row(figure, value, "", None, BAR, value >= BAR, remark)
    report.save(out / "judged")


def main() -> None:
    """Write the set, train by the command, measure."""
    parser = command_line(__doc__)
    parser.add_argument("--minutes", default="16", help="of the training")
    parser.add_argument("--out", type=Path, default=Path("runs/glyphs"), help="folder (default %(default)s)")
    options = parser.parse_args()
    parts = glyphs()
    write_set(options.out / "set", parts)
    command = ("-m", "unitok", "train", str(options.out / "set"), "--minutes", options.minutes)
    subprocess.run([sys.executable, *command, "--out", str(options.out / "run"), "--yes"], check=True)
    finish(list(rows(UniTok.from_pretrained(options.out / "run/model"), parts, options.out)), options.json)


if __name__ == "__main__":
    main()
