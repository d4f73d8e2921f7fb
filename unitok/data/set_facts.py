"""Looks through a set once for what a training's settings depend on. Knows no tokenizer and no model."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from rich.progress import track

from unitok.data.faults import Fault
from unitok.data.source import Source, read
from unitok.document import Document
from unitok.pixels import as_rgb

MOST = 10_000
"""Documents that are read; of a larger set every n-th."""
EVEN_BORDER = 0.6
"""Share of an image's border in one colour, from which on it is a drawing on a ground."""


@dataclass(frozen=True)
class DataFacts:
    """What the settings of a training depend on.

    Args:
        documents: training documents, corrupt ones included.
        images: training images.
        side: median of the images' shorter sides, in pixels.
        texts: training documents with a text.
        distinct_texts: different texts among those that were read.
        longest_text: in UTF-8 bytes.
        even: share of images that are drawings on an even ground.
        largest: images and texts of the document that has most of them.
        faults: share of documents that cannot be read.
        leaked: validation documents whose images are in the training documents as well.
        held_out: validation documents.
    """

    documents: int
    images: int
    side: int
    texts: int
    distinct_texts: int
    longest_text: int
    even: float
    largest: tuple[int, int]
    faults: float
    leaked: int
    held_out: int

    @property
    def has_captions(self) -> bool:
        """Whether texts tell images apart."""
        return self.distinct_texts > 1


def inspect(train: Source, val: Source, *, most: int = MOST, progress: bool = False) -> DataFacts:
    """Reads a set, or every n-th document of a large one."""
    sides, texts, even, faults, keys = [], [], [], 0, set()
    largest, captioned = (0, 0), 0
    places = range(0, len(train), max(1, -(-len(train) // most)))
    for document in track(_read(train, places), "looking", len(places), transient=True, disable=not progress):
        if isinstance(document, Fault):
            faults += 1
            continue
        images = [segment.content for segment in document if isinstance(segment.content, Image.Image)]
        words = [segment.content for segment in document if isinstance(segment.content, str)]
        sides += [min(image.size) for image in images]
        even += [has_even_border(image) for image in images[:1]]
        texts += words
        captioned += bool(words)
        largest = max(largest, (len(images), len(words)))
        keys.add(_key(document))
    scale = len(train) / max(1, len(places))
    val_places = range(0, len(val), max(1, -(-len(val) // most)))
    held_out = [document for document in _read(val, val_places) if not isinstance(document, Fault)]
    return DataFacts(
        documents=len(train),
        images=round(len(sides) * scale),
        side=int(np.median(sides)) if sides else 0,
        texts=round(captioned * scale),
        distinct_texts=len(set(texts)),
        longest_text=max((len(text.encode("utf-8", "replace")) for text in texts), default=0),
        even=sum(even) / max(1, len(even)),
        largest=largest,
        faults=faults / max(1, len(places)),
        leaked=sum(_key(document) in keys for document in held_out),
        held_out=len(held_out),
    )


def _read(source: Source, places: Sequence[int]) -> Iterator[Document | Fault]:
    return (read(source, index) for index in places)


def has_even_border(image: Image.Image) -> bool:
    """Whether most of an image's border has one colour, as a drawing's on a ground."""
    values = np.asarray(as_rgb(image).resize((32, 32), Image.Resampling.NEAREST)) >> 3
    border = np.concatenate((values[0], values[-1], values[1:-1, 0], values[1:-1, -1]))
    _, counts = np.unique(border, axis=0, return_counts=True)
    return bool(counts.max() >= EVEN_BORDER * len(border))


def _key(document: Document) -> bytes:
    """Equal for documents of the same images or, where they have none, of the same texts."""
    images = [segment.content for segment in document if isinstance(segment.content, Image.Image)]
    digest = hashlib.sha256()
    for image in map(as_rgb, images):
        digest.update(repr(image.size).encode() + image.tobytes())
    if not images:
        texts = [segment.content for segment in document]
        digest.update(repr(texts).encode("utf-8", "replace"))
    return digest.digest()
