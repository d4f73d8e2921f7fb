"""NLVR's boxes: three images per statement, and paraphrases of images and words that keep the truth."""

import json
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.data.test_sources import write_shard
from tests.tiny_model import tiny_model
from train.evaluate import main
from unitok.document import Segment
from unitok.evaluate.nlvr_steps import boxes_report, description_accuracy
from unitok.worlds.nlvr.boxes import COLOURS, GROUND, Item, render_box
from unitok.worlds.nlvr.source import (
    COLUMNS,
    MIN_FREQUENCY,
    NlvrBoxes,
    Paraphrase,
    paraphrase_image,
    paraphrase_sentence,
)
from unitok.worlds.nlvr.statements import statements_by_words

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"
SENTENCES = ["There is a black block.", "There is a blue block touching the right wall.",
             "The first box has a yellow block", "There is a yelow block"]  # fmt: skip

SCATTERED = Item("circle", "black", 20, 10, 30)


def drawing(size=(400, 100)) -> Image.Image:
    """Three boxes with a square each: black, blue, yellow, at the left."""
    image = Image.new("RGB", size, (128, 128, 128))
    draw = ImageDraw.Draw(image)
    for (left, right), colour in zip(COLUMNS, COLOURS.values(), strict=True):
        draw.rectangle((left, 0, right - 1, 99), GROUND)
        draw.rectangle((left + 5, 40, left + 24, 59), colour)
    return image


def folder_of(tmp_path, size=(400, 100)) -> str:
    held, files = BytesIO(), {}
    drawing(size).save(held, "PNG")
    for i in range(MIN_FREQUENCY * len(SENTENCES)):
        sentence = SENTENCES[i % len(SENTENCES)] if i < 4 or i % 4 < 3 else SENTENCES[0]
        record = {"sentence": sentence, "label": str(i % 2 == 0), "group_id": str(i % 4)}
        files |= {
            f"{i:02}.png": held.getvalue(),
            f"{i:02}.txt": b"x",
            f"{i:02}.json": json.dumps(record).encode(),
        }
    write_shard(tmp_path / "train-0.tar", files)
    write_shard(tmp_path / "val-0.tar", files)
    return str(tmp_path)


def seen(image: Image.Image) -> tuple[str, bool]:
    """Which colour a box shows, and whether at its right."""
    pixels = np.asarray(image).reshape(-1, 3)
    (colour,) = [name for name, value in COLOURS.items() if (pixels == value).all(axis=1).any()]
    columns = np.nonzero((np.asarray(image) == COLOURS[colour]).all(axis=2).any(axis=0))[0]
    return colour, columns.mean() > 50


def boxes_of(document) -> list[tuple[str, bool]]:
    """What the images of a document show."""
    return [seen(segment.content) for segment in document if segment.modality == "image"]


def test_a_statement_is_its_sentence_three_boxes_in_pictures_and_words_and_verdict(tmp_path):
    source = NlvrBoxes(folder_of(tmp_path))
    document = source[0]
    assert [s.modality for s in document] == ["text", *("image", "text") * 3, "text"]
    assert [s.learn for s in document] == [False, *(False, True) * 3, True]
    assert [s.content.size for s in document[1:7:2]] == [(100, 100)] * 3
    assert boxes_of(document) == [("black", False), ("blue", False), ("yellow", False)]
    words = [f"medium {colour} square" for colour in COLOURS]
    assert [s.content for s in document if s.modality == "text"] == ["there is a black block", *words, "yes"]


def test_of_known_sentences_alone_the_reasons_are_told_and_lead_to_the_verdict(tmp_path):
    folder = folder_of(tmp_path)
    source, plain = NlvrBoxes(folder, meanings=3000, copies=4), NlvrBoxes(folder)
    known = [
        i for i in range(len(plain)) if plain[i][0].content == "there is a black block" and plain.truth(i)
    ]
    assert source.statements == known and len(source) == 4 * len(known)  # a false one contradicts its meaning
    for index in range(len(source)):
        words = [s.content for s in source[index] if s.modality == "text"]
        assert sorted(words[2:7:2]) == ["0", "0", "medium 1"] and words[-1] == "1 yes" and source.truth(index)
        assert words[0] in statements_by_words(3000)
    told = NlvrBoxes(folder, meanings=3000, shown=False)[0]
    assert [s.modality for s in told] == ["text"] * 8
    assert [s.learn for s in told] == [False, *(False, True) * 3, True]


def test_copies_change_what_leaves_the_sentence_true(tmp_path):
    source = NlvrBoxes(folder_of(tmp_path), copies=40)
    statements = len(source) // 40
    found = {n: [source[number * statements + n] for number in range(1, 40)] for n in range(4)}
    for n, documents in found.items():
        boxes = [tuple(boxes_of(document)) for document in documents]
        orders = {tuple(colour for colour, _ in three) for three in boxes}
        mirrored = {right for three in boxes for _, right in three}
        sentences = Counter(document[0].content for document in documents)
        assert {document[-1].content for document in documents} == {source[n][-1].content}
        assert len(orders) == 6
        assert mirrored == ({False} if n == 1 else {False, True})
        assert len(sentences) == (1 if n == 3 else 3)
    for document in found[2]:  # the first box has a yellow block: false, whatever yellow is called
        assert boxes_of(document)[0][0] != document[0].content.split()[-2]
    for document in found[1]:  # its order is kept, so the second box shows the colour that the sentence names
        assert boxes_of(document)[1][0] == document[0].content.split()[3]


def test_exchanged_colours_are_exact_and_soft_edges_keep_their_share():
    image = drawing()
    half = tuple((a + b) // 2 for a, b in zip(COLOURS["blue"], GROUND, strict=True))
    image.putpixel((180, 10), half)
    change = Paraphrase(colours=("yellow", "black", "blue"))
    boxes = paraphrase_image(image, change)
    assert [seen(box)[0] for box in boxes] == ["yellow", "black", "blue"]
    wanted = [(a + b) / 2 for a, b in zip(COLOURS["black"], GROUND, strict=True)]
    assert np.abs(np.asarray(boxes[1])[10, 30] - wanted).max() <= 1.5
    assert (
        paraphrase_sentence("a black block on a blackish yellow one", change)
        == "a yellow block on a blackish blue one"
    )
    again = paraphrase_image(image, Paraphrase())
    assert np.array_equal(np.asarray(again[1]), np.asarray(image.crop((150, 0, 250, 100))))


def test_what_is_no_nlvr_is_refused(tmp_path):
    source = NlvrBoxes(folder_of(tmp_path, size=(300, 100)))
    with pytest.raises(ValueError, match=r"statement 0: .*\(400, 100\) pixels, got \(300, 100\)"):
        source[0]
    with pytest.raises(ValueError, match="copies must be at least 1, got 0"):
        NlvrBoxes(str(tmp_path), copies=0)


def test_the_suite_reads_the_boxes(tmp_path):
    folder, model = folder_of(tmp_path), tiny_model(max_length=1000)
    report = boxes_report(model, NlvrBoxes(folder, "val"), count=3)
    assert report.figures["statements"] == 3 and 0 <= report.figures["nlvr_accuracy"] <= 1
    assert report.figures["boxes_read"] == 0
    assert report.figures["scattered_boxes_read"] == 0
    model.save_pretrained(tmp_path / "m")
    out = tmp_path / "out"
    main(f"--model {tmp_path}/m --suite nlvr_boxes --count 2 --data.path {folder} --out {out}".split())
    assert json.loads((out / "report.json").read_text())["statements"] == 2 and (out / "nlvr.png").is_file()


def test_scattered_boxes_are_counted_by_themselves():
    """A model that calls every box a black block reads the towers, and no scattered thing."""
    tower, scattered = (render_box((item,)) for item in (Item("square", "black", 20, 40, 80), SCATTERED))
    said = [Segment("text", words) for words in ("black", "no")]
    document = [Segment("text", "a sentence")]
    for image in (tower, scattered, tower):
        document += [Segment("image", image), *said]
    read = description_accuracy([("a sentence", (tower, scattered, tower))], [(*document, said[1])])
    assert read == {"boxes_read": 2 / 3, "scattered_boxes_read": 0}


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no data at {SHARED}")
def test_the_published_set_is_read():
    source = NlvrBoxes(str(SHARED / "nlvr"), "train", copies=2)
    assert len(source) == 2 * 1960 and source[1960][-1] == source[0][-1]
    assert sum(map(source.truth, range(1960))) == 1116
    for index in (1960, 2500, 3919):
        assert all(segment.content.size == (100, 100) for segment in source[index][1:7:2])
