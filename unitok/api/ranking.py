"""Zero-shot classification, retrieval and reranking by likelihood. Knows a model's public calls alone."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from unitok.api.arguments import Images, IntLike, Texts, as_images, as_text_list, as_texts, describe
from unitok.api.document_model import DocumentModel
from unitok.document import Codes, Segment
from unitok.generation.likelihood import best_of_copies

TEMPLATES = ("{}",)


def classify(
    model: DocumentModel,
    images: Images,
    labels: Iterable[str],
    *,
    templates: Texts = TEMPLATES,
    per_id: bool = False,
    batch_size: IntLike = 32,
) -> list[dict[str, float]]:
    """Classify images zero-shot: softmax of log p(label | image) over the labels.

    Args:
        model: the model that scores.
        images: one image or several.
        labels: two or more, as the model would write them.
        templates: one text or several with {} for the label; their log-likelihoods are averaged.
        per_id: average each text's log-likelihood over its ids, so that long labels are not penalised.
        batch_size: texts scored at once.

    Returns:
        For each image the probability of each label.
    """
    images, labels = as_images(images), as_text_list(labels, "labels")
    templates = as_texts(templates, "templates")
    if len(set(labels)) < 2 or len(set(labels)) != len(labels):
        raise ValueError(f"labels must be at least two different texts, got {labels}")
    wrong = [template for template in templates if "{}" not in template]
    if wrong or not templates:
        raise ValueError(f"templates must be texts with {{}} for the label, got {wrong}")
    texts = [template.replace("{}", label) for label in labels for template in templates]
    pairs = [(image, Segment("text", text)) for image in _encode(model, images) for text in texts]
    scores = model.score(pairs, batch_size=batch_size)
    values = np.array([score.per_id if per_id else score.log_probability for score in scores])
    means = values.reshape(len(images), len(labels), len(templates)).mean(axis=2)
    probabilities = np.exp(means - means.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return [dict(zip(labels, row.tolist(), strict=True)) for row in probabilities]


def _encode(model: DocumentModel, images: Sequence[Image.Image]) -> list[Codes]:
    """Encode each image once, as it is read before any text."""
    documents = [(Segment("image", image),) for image in images]
    return [codes for (codes,) in model.codec.encode_prompts(documents)]


def rank(
    model: DocumentModel, images: Images, text: str, *, batch_size: IntLike = 32
) -> list[tuple[int, float]]:
    """Rank images by log p(text | image): their indices with the score, the highest first."""
    images = as_images(images)
    if not isinstance(text, str):
        raise ValueError(f"text must be one text, got {describe(text)}")
    scores = caption_scores(model, images, [text] * len(images), batch_size=batch_size)
    return sorted(enumerate(scores), key=lambda pair: -pair[1])


def caption_scores(
    model: DocumentModel, images: Sequence[Image.Image], texts: Sequence[str], *, batch_size: IntLike
) -> list[float]:
    """Compute log p(text | image) of each image and its text, in nats."""
    pairs = [(Segment("image", i), Segment("text", t)) for i, t in zip(images, texts, strict=True)]
    return [score.log_probability for score in model.score(pairs, batch_size=batch_size)]


class Affinity(NamedTuple):
    """How well a text fits an image, in nats; mutual information discounts texts that are likely anyway."""

    log_probability: float
    mutual_information: float


def affinities(
    model: DocumentModel, images: Images, texts: Texts, *, batch_size: IntLike = 32
) -> list[list[Affinity]]:
    """Compute log p(text | image), and the same minus log p(text), of every image (row) and text (column)."""
    images, texts = as_images(images), as_texts(texts, "texts")
    pairs = [(image, Segment("text", text)) for image in _encode(model, images) for text in texts]
    priors = model.score([(Segment("text", text),) for text in texts], batch_size=batch_size)
    conditionals = iter(model.score(pairs, batch_size=batch_size))
    return [
        [
            Affinity(value, value - prior.log_probability)
            for prior, value in ((prior, next(conditionals).log_probability) for prior in priors)
        ]
        for _ in images
    ]


def rerank(
    model: DocumentModel,
    samples: Sequence[Image.Image],
    prompts: Sequence[str],
    *,
    copies: int,
    batch_size: int,
) -> list[Image.Image]:
    """Rerank `copies` samples of each prompt by log p(prompt | image) and keep the best."""
    repeated = [prompts[i // copies] for i in range(len(samples))]
    scores = caption_scores(model, samples, repeated, batch_size=batch_size)
    return [samples[i] for i in best_of_copies(scores, copies=copies)]
