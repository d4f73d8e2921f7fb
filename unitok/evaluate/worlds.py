"""The worlds that a model can be measured on: pictures, captions and their judge. Knows no model."""

from collections.abc import Sequence

import numpy as np

from unitok.data.shapes import TEST_SEED, ShapesSource
from unitok.evaluate import shapes
from unitok.evaluate.report import World


def shapes_world(*, canvas: int, count: int = 500, kind: str = "demo", held_out: bool = False) -> World:
    """Unseen scenes of the built-in world; with `held_out` each shows a composition that no training scene has."""
    source = ShapesSource(first_seed=TEST_SEED, count=count, canvas=canvas, kind=kind, held_out=held_out)
    documents = [source[i] for i in range(count)]
    return World(
        [picture.content for _, picture in documents],
        [text.content for text, _ in documents],
        drawing_right=lambda image, text: shapes.satisfies(shapes.judge(np.asarray(image)), text, canvas),
        caption_right=lambda text, i: shapes.caption_is_true(text, source.scene(i)),
    )


def easy_vqa_world(documents: Sequence, matches) -> World:
    """Pictures of one shape each: a caption is right when it is the picture's own."""
    captions = [text.content for text, _ in documents]
    return World(
        [picture.content for _, picture in documents],
        captions,
        drawing_right=lambda image, text: matches(np.asarray(image), text),
        caption_right=lambda text, i: text == captions[i],
    )
