"""Judged sets: images, captions, and a judge of both. Knows no model."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from unitok.data.source import Source, intact
from unitok.document import Document
from unitok.evaluate.report import JudgedSet
from unitok.worlds import easy_vqa_judge
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes import judge
from unitok.worlds.shapes.scenes import ShapesSource


def shapes_set(*, canvas: int, count: int = 500, kind: str = "demo", held_out: bool = False) -> JudgedSet:
    """Unseen scenes of the shapes world; with `held_out` each shows a composition absent from training."""
    source = ShapesSource(first_seed=TEST_SEED, count=count, canvas=canvas, kind=kind, held_out=held_out)
    documents = [source[i] for i in range(count)]
    return JudgedSet(
        [image.content for _, image in documents],
        [text.content for text, _ in documents],
        caption_is_right=lambda text, i: judge.caption_is_true(text, source.scene(i)),
        drawing_is_right=lambda image, text: judge.image_is_right(np.asarray(image), text),
    )


def captioned(source: Source) -> Iterator[Document]:
    """The documents that are a caption with its image; corrupt ones are skipped."""
    for document in intact(source):
        if [segment.modality for segment in document] == ["text", "image"]:
            yield document


def pairs_set(source: Source, *, count: int | None = None) -> JudgedSet:
    """The first `count` captioned images of a source, without a judge of drawings: a caption is right if it
    equals the image's own. Raises ValueError if there is none."""
    documents = list(islice(captioned(source), count))
    if not documents:
        raise ValueError(f"none of {len(source)} documents is a caption with its image")
    captions = [text.content for text, _ in documents]
    return JudgedSet(
        [image.content for _, image in documents],
        captions,
        caption_is_right=lambda text, i: text == captions[i],
    )


def easy_vqa_set(source: Source, *, count: int | None = None) -> JudgedSet:
    """Images of one coloured shape each, as `pairs_set`; drawings must have the right colour and shape.

    Raises ValueError for a caption that is not easy-VQA's.
    """
    judged_set = pairs_set(source, count=count)
    for text in judged_set.captions:
        easy_vqa_judge.parse_caption(text)
    return judged_set._replace(
        drawing_is_right=lambda image, text: easy_vqa_judge.matches(np.asarray(image), text)
    )
