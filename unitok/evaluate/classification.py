"""Zero-shot classification accuracy. Knows a model's public calls alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from unitok.api.unitok import UniTok
from unitok.evaluate.report import SHOWN, JudgedSet, Report, sheet_of_captions


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


def labels_report(
    model: UniTok, world: JudgedSet, *, count: int | None = None, batch_size: int = 128
) -> Report:
    """Zero-shot labels of the first `count` pictures, among all different captions of a world.

    Raises ValueError where all captions are the same.
    """
    labels, truth = sorted(set(world.captions)), world.captions[:count]
    found = model.classify(world.pictures[:count], labels, batch_size=batch_size)
    said = [max(shares, key=shares.__getitem__) for shares in found]
    figures = {f"label_{name}": value for name, value in classification(found, truth)._asdict().items()}
    right = [label == true for label, true in zip(said, truth, strict=True)]
    return Report(
        {"labels": len(labels)} | figures, {"labels": sheet_of_captions(world, said[:SHOWN], right[:SHOWN])}
    )
