"""Accuracy and consistency of true or false, as in NLVR. Knows no model and no images."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple


class TrueFalseScores(NamedTuple):
    """Shares in 0..1 of right verdicts, and of sentences with right verdicts on all their images."""

    accuracy: float
    consistency: float


def true_false_scores(
    verdicts: Sequence[bool], truth: Sequence[bool], sentences: Sequence[Hashable]
) -> TrueFalseScores:
    """Accuracy and consistency of verdicts; equal `sentences` are one sentence about several images.

    Source: Suhr et al. 2019, section 5; metrics.py of lil-lab/nlvr. Raises ValueError if the counts differ or
    are 0.
    """
    if not verdicts or not len(verdicts) == len(truth) == len(sentences):
        raise ValueError(f"got {len(verdicts)} verdicts, {len(truth)} truths, {len(sentences)} sentences")
    right = [a == t for a, t in zip(verdicts, truth, strict=True)]
    all_right: dict[Hashable, bool] = {}
    for sentence, one in zip(sentences, right, strict=True):
        all_right[sentence] = all_right.get(sentence, True) and one
    return TrueFalseScores(sum(right) / len(right), sum(all_right.values()) / len(all_right))


def statement_figures(
    verdicts: Sequence[bool], truth: Sequence[bool], sentences: Sequence[Hashable]
) -> dict[str, float]:
    """Figures of a report on statements: number, accuracy, consistency, and the majority verdict's share."""
    scores, true_share = true_false_scores(verdicts, truth, sentences), sum(truth) / len(truth)
    return {
        "statements": len(truth),
        "nlvr_accuracy": scores.accuracy,
        "nlvr_consistency": scores.consistency,
        "majority_share": max(true_share, 1 - true_share),
    }
