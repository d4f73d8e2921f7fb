"""Measures a model on held-out samples of a set that nobody knows. Knows only a model's public calls."""

from collections.abc import Iterator
from itertools import islice

from PIL import Image

from unitok.api.contact_sheet import sheet
from unitok.api.unitok import UniTok
from unitok.data.source import Source, intact
from unitok.evaluate.captioned_images import full_report
from unitok.evaluate.judged_sets import captioned, pairs_set
from unitok.evaluate.report import JudgedSet, Report, measure_tokenizer

HELD_OUT = 64
"""Held-out samples on which a model is measured."""
PAIRED, SHOWN, USED = 12, 16, 256
"""Held-out samples whose texts are compared with each other's images; images drawn without a prompt; training
images whose codes are counted."""


def measure_held_out(model: UniTok, val: Source, *, has_captions: bool) -> Report:
    """The figures of held-out samples: reconstructions, and captions and drawings where images have captions.

    Conversations and interleaved pages have suites of their own.
    """
    if has_captions and next(captioned(val), None) is not None:
        judged_set = pairs_set(val, count=HELD_OUT)
        report = full_report(model, judged_set, batch_size=32)
        return report | Report({"told_apart": told_apart(model, judged_set)})
    images = list(islice(images_of(val), HELD_OUT))
    judged_set = JudgedSet(images, [""] * len(images), caption_is_right=lambda text, i: False)
    report = Report({"pictures": len(images)}) | measure_tokenizer(model, judged_set, batch_size=32)
    del report.figures["reconstruction_caption_accuracy"]
    documents = model.generate([()] * SHOWN, target="image", seed=range(SHOWN))
    drawn = [document[-1].content for document in documents]
    return report | Report({}, {"samples": sheet(drawn, [""] * SHOWN)})


def images_of(source: Source) -> Iterator[Image.Image]:
    """The images of the documents that can be read, in their order."""
    for document in intact(source):
        yield from (segment.content for segment in document if segment.modality == "image")


def codebook_usage(model: UniTok, source: Source) -> float:
    """Share of the codes that the first images of a source use."""
    images = islice(images_of(source), USED)
    used = {code for image in images for code in model.encode_image(image).flatten().tolist()}
    return len(used) / model.codec.image.codebook_size


def told_apart(model: UniTok, judged_set: JudgedSet) -> float:
    """Share of pairs of images and different texts in which a text suits its own image better; chance .5."""
    images, texts = judged_set.images[:PAIRED], judged_set.captions[:PAIRED]
    scores = model.mutual_information(images, texts)
    pairs = [(i, j) for i, a in enumerate(texts) for j, b in enumerate(texts) if a != b]
    right = [scores[i][i] > scores[j][i] for i, j in pairs]
    return sum(right) / len(right) if right else 1.0
