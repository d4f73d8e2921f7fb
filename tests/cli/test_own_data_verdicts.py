"""unitok train says what is wrong with a set, shown by sets in which something is."""

import csv
import json
import random
import string

import numpy as np
import pytest
from PIL import Image, ImageDraw

from unitok.cli.commands.train import main as train
from unitok.worlds.shapes.scenes import ShapesSource

pytestmark = pytest.mark.slow

COLOURS = ("red", "green", "blue", "orange", "purple", "black")


def disc(number: int) -> tuple[Image.Image, str]:
    """A disc of one of six colours at one of many places."""
    image, colour = Image.new("RGB", (32, 32), "white"), COLOURS[number % 6]
    chance = random.Random(number)
    x, y, radius = chance.uniform(9, 23), chance.uniform(9, 23), chance.uniform(4, 8)
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return image, f"a {colour} disc"


def noise(number: int) -> tuple[Image.Image, str]:
    """Pixels that nobody can compress."""
    pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels), f"noise {number % 6}"


def flat(number: int) -> tuple[Image.Image, str]:
    """One colour all over."""
    colour = COLOURS[number % 3]
    return Image.new("RGB", (32, 32), colour), colour


def any_caption(number: int) -> tuple[Image.Image, str]:
    """A disc, with the caption of any disc."""
    return disc(number)[0], disc(random.Random(number).randrange(6))[1]


def nonsense(number: int) -> tuple[Image.Image, str]:
    """A disc, with a caption that tells nothing of any other."""
    return disc(number)[0], "".join(random.Random(number).choices(string.ascii_lowercase, k=16))


def scene(number: int) -> tuple[Image.Image, str]:
    """A rendered scene, of which there is more to learn than a short run can."""
    text, image = ShapesSource(canvas=48, count=number + 1)[number]
    return image.content, text.content


def write_set(folder, sample, count: int, *, doubled: bool = False) -> None:
    """Images and a csv; every tenth is held out, and `doubled` puts those into the training part as well."""
    folder.mkdir()
    rows = [("file", "what", "split")]
    for number in range(count):
        image, caption = sample(number)
        image.save(folder / f"{number}.png")
        held_out = number % 10 == 0
        rows.append((f"{number}.png", caption, "val" if held_out else "train"))
        if held_out and doubled:
            rows.append((f"{number}.png", caption, "train"))
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize(
    ("sample", "count", "minutes", "said"),
    [
        (disc, 300, "0.5", "leaked: 30 of 30"),
        (any_caption, 300, "0.7", "captions ignored: a text suits its own image better than another in"),
        (flat, 300, "0.4", "codes in use 0."),
        (noise, 300, "0.4", "blurred: "),
        (nonsense, 40, "2.0", "learned by heart after step "),
        (scene, 2000, "1.0", "still learning when the time ended, after "),
    ],
)
def test_a_planted_cause_is_found(tmp_path, monkeypatch, sample, count, minutes, said):
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "set", sample, count, doubled=said.startswith("leaked"))
    train(["set", "--minutes", minutes, "--out", "run"])
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert any(sentence.startswith(said) for sentence in report["verdict"].split(" · ")), report
