"""Which of several labels fits a picture, by likelihood alone. Knows a model's public calls alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import Image

from unitok.bundle import UniTok


class Classified(NamedTuple):
    """Shares of 0..1: of pictures whose label is the likeliest, or among the five likeliest; and the mean
    over labels of the first, so that rare labels count as much as frequent ones."""

    top1: float
    top5: float
    mean_per_class: float


def classification(found: Sequence[Mapping[str, float]], truth: Sequence[str]) -> Classified:
    """Accuracy of labels' probabilities. Raises ValueError where the numbers differ or a label is unknown."""
    if not found or len(found) != len(truth):
        raise ValueError(f"got {len(found)} predictions of {len(truth)} pictures")
    unknown = sorted({label for shares, label in zip(found, truth, strict=True) if label not in shares})
    if unknown:
        raise ValueError(f"no probability was given for the labels {', '.join(unknown)}")
    ranks = [
        sum(other > shares[label] for other in shares.values())
        for shares, label in zip(found, truth, strict=True)
    ]
    by_class = defaultdict(list)
    for rank, label in zip(ranks, truth, strict=True):
        by_class[label].append(rank == 0)
    means = [sum(right) / len(right) for right in by_class.values()]
    return Classified(
        sum(rank == 0 for rank in ranks) / len(ranks),
        sum(rank < 5 for rank in ranks) / len(ranks),
        sum(means) / len(means),
    )


def zero_shot(
    model: UniTok, images: Sequence[Image.Image], truth: Sequence[str], labels: Sequence[str], **settings
) -> Classified:
    """Zero-shot accuracy of a model on pictures with labels; `settings` as of ranking.classify."""
    return classification(model.classify(images, labels, **settings), truth)
