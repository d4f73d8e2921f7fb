"""Judged sets: images, captions, and a judge of both. Knows no model."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from unitok.data.faults import Fault
from unitok.data.source import Source, read
from unitok.document import Document
from unitok.evaluate.report import JudgedSet
from unitok.worlds import easy_vqa_judge
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes import judge
from unitok.worlds.shapes.scenes import ShapesSource


def shapes_set(*, canvas: int, count: int = 500, kind: str = "demo", held_out: bool = False) -> JudgedSet:
    """Unseen scenes of the built-in world; with `held_out` each shows a composition never trained on."""
    source = ShapesSource(first_seed=TEST_SEED, count=count, canvas=canvas, kind=kind, held_out=held_out)
    documents = [source[i] for i in range(count)]
    return JudgedSet(
        [picture.content for _, picture in documents],
        [text.content for text, _ in documents],
        caption_right=lambda text, i: judge.caption_is_true(text, source.scene(i)),
        drawing_right=lambda image, text: judge.picture_is_right(np.asarray(image), text),
    )


def _pairs(source: Source) -> Iterator[Document]:
    """The whole documents of a caption and its picture."""
    for document in (read(source, index) for index in range(len(source))):
        if not isinstance(document, Fault) and [part.modality for part in document] == ["text", "image"]:
            yield document


def pairs_set(source: Source, *, count: int | None = None) -> JudgedSet:
    """The first `count` captioned pictures of a source: a caption is right when it is the picture's own, to
    the letter; drawings are for people to look at. Raises ValueError where there is none."""
    documents = list(islice(_pairs(source), count))
    if not documents:
        raise ValueError(f"none of {len(source)} documents is a caption with its picture")
    captions = [text.content for text, _ in documents]
    return JudgedSet(
        [picture.content for _, picture in documents],
        captions,
        caption_right=lambda text, i: text == captions[i],
    )


def easy_vqa_set(source: Source, *, count: int | None = None) -> JudgedSet:
    """Pictures of one coloured shape each, as `pairs_world`; drawings must be right in colour and shape.

    Raises ValueError for a caption that is not easy-VQA's.
    """
    world = pairs_set(source, count=count)
    for text in world.captions:
        easy_vqa_judge.parse_caption(text)
    return world._replace(drawing_right=lambda image, text: easy_vqa_judge.matches(np.asarray(image), text))
