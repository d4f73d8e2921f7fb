"""Zero-shot classification accuracy. Knows only a model's public calls."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from unitok.api.unitok import UniTok
from unitok.evaluate.answers import prefix_names
from unitok.evaluate.judged_sets import pairs_set
from unitok.evaluate.report import MAX_SHOWN, JudgedSet, Report, captions_sheet
from unitok.evaluate.suites import DataSuite, register


class ClassificationScores(NamedTuple):
    """Top-1 and top-5 accuracy in 0..1, and the mean over labels of top-1, in which rare labels count as much
    as frequent ones."""

    top1: float
    top5: float
    mean_per_class: float


def classification_scores(
    predictions: Sequence[Mapping[str, float]], truth: Sequence[str]
) -> ClassificationScores:
    """Accuracy of label probabilities. Raises ValueError if the counts differ or a label is unknown."""
    if not predictions or len(predictions) != len(truth):
        raise ValueError(f"got {len(predictions)} predictions for {len(truth)} images")
    pairs = list(zip(predictions, truth, strict=True))
    unknown = sorted({label for probabilities, label in pairs if label not in probabilities})
    if unknown:
        raise ValueError(f"predictions have no probability of the labels {', '.join(unknown)}")
    ranks = [
        sum(other > probabilities[label] for other in probabilities.values())
        for probabilities, label in pairs
    ]
    by_class = defaultdict(list)
    for rank, label in zip(ranks, truth, strict=True):
        by_class[label].append(rank == 0)
    means = [sum(right) / len(right) for right in by_class.values()]
    return ClassificationScores(
        sum(rank == 0 for rank in ranks) / len(ranks),
        sum(rank < 5 for rank in ranks) / len(ranks),
        sum(means) / len(means),
    )


def labels_report(
    model: UniTok, judged_set: JudgedSet, *, count: int | None = None, batch_size: int = 128
) -> Report:
    """Classify the first `count` images, with all distinct captions of the set as labels.

    Raises ValueError if all captions are the same.
    """
    labels, truth = sorted(set(judged_set.captions)), judged_set.captions[:count]
    predictions = model.classify(judged_set.images[:count], labels, batch_size=batch_size)
    best = [max(probabilities, key=probabilities.__getitem__) for probabilities in predictions]
    scores = classification_scores(predictions, truth)
    right = [label == true for label, true in zip(best, truth, strict=True)]
    return Report(
        {"pictures": len(truth), "labels": len(labels)} | prefix_names("label", scores),
        {"labels": captions_sheet(judged_set, best[:MAX_SHOWN], right[:MAX_SHOWN])},
    )


@register("labels", measures={"label_top1": "captions"})
class Labels(DataSuite):
    """Images captioned by their class: zero-shot classification."""

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        return labels_report(model, pairs_set(self.source()), count=self.count, batch_size=batch_size)
