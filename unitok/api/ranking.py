"""Zero-shot classification, retrieval and reranking by likelihood. Knows a model's public calls alone."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from unitok.api import arguments
from unitok.api.arguments import Images, Texts, Whole, told, words
from unitok.api.document_model import DocumentModel
from unitok.document import Segment
from unitok.generation.likelihood import likeliest

TEMPLATES = ("{}",)


def classify(
    model: DocumentModel,
    images: Images,
    labels: Iterable[str],
    *,
    templates: Texts = TEMPLATES,
    per_id: bool = False,
    batch_size: Whole = 32,
) -> list[dict[str, float]]:
    """Each label's probability among the labels, for each picture: softmax of log p(label | picture).

    Args:
        model: who judges.
        images: one picture or several.
        labels: as the model would write them, two or more.
        templates: a text or several with {} for the label; the mean of their log-likelihoods counts.
        per_id: of each text's mean per id, so that long labels have no handicap.
        batch_size: texts judged at once.
    """
    images, labels = arguments.images(images), words(labels, "labels")
    templates = arguments.texts(templates, "templates")
    if len(set(labels)) < 2 or len(set(labels)) != len(labels):
        raise ValueError(f"labels are two or more different texts, not {labels}")
    wrong = [template for template in templates if "{}" not in template]
    if wrong or not templates:
        raise ValueError(f"a template has {{}} for the label, not {wrong}")
    texts = [template.replace("{}", label) for label in labels for template in templates]
    pairs = [(Segment("image", image), Segment("text", text)) for image in images for text in texts]
    found = model.score(pairs, batch_size=batch_size)
    values = np.array([score.per_id if per_id else score.log_probability for score in found])
    means = values.reshape(len(images), len(labels), len(templates)).mean(axis=2)
    shares = np.exp(means - means.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return [dict(zip(labels, row.tolist(), strict=True)) for row in shares]


def rank(
    model: DocumentModel, images: Images, text: str, *, batch_size: Whole = 32
) -> list[tuple[int, float]]:
    """Numbers of the pictures with log p(text | picture), the likeliest first."""
    images = arguments.images(images)
    if not isinstance(text, str):
        raise ValueError(f"text must be one text, got {told(text)}")
    found = said_of(model, images, [text] * len(images), batch_size=batch_size)
    return sorted(enumerate(found), key=lambda pair: -pair[1])


def said_of(
    model: DocumentModel, images: Sequence[Image.Image], texts: Sequence[str], *, batch_size: Whole
) -> list[float]:
    """log p(text | picture) of each picture and its text, in nats."""
    both = zip(images, texts, strict=True)
    pairs = [(Segment("image", image), Segment("text", text)) for image, text in both]
    return [score.log_probability for score in model.score(pairs, batch_size=batch_size)]


class Affinity(NamedTuple):
    """How well a text fits a picture, in nats; the second is not fooled by texts that are likely anyway."""

    log_probability: float
    mutual_information: float


def table(
    model: DocumentModel, images: Images, texts: Texts, *, batch_size: Whole = 32
) -> list[list[Affinity]]:
    """log p(text | picture), and the same less log p(text), of every picture (row) and text (column)."""
    images, texts = arguments.images(images), arguments.texts(texts, "texts")
    pairs = [(Segment("image", image), Segment("text", text)) for image in images for text in texts]
    alone = model.score([(Segment("text", text),) for text in texts], batch_size=batch_size)
    found = iter(model.score(pairs, batch_size=batch_size))
    return [
        [
            Affinity(value, value - free.log_probability)
            for free, value in ((free, next(found).log_probability) for free in alone)
        ]
        for _ in images
    ]


def best_of(
    model: DocumentModel,
    drawn: Sequence[Image.Image],
    prompts: Sequence[str],
    *,
    copies: int,
    batch_size: int,
) -> list[Image.Image]:
    """Of every `copies` drawings of a prompt the one from which the prompt is likeliest."""
    asked = [prompts[i // copies] for i in range(len(drawn))]
    found = said_of(model, drawn, asked, batch_size=batch_size)
    return [drawn[i] for i in likeliest(found, copies=copies)]
