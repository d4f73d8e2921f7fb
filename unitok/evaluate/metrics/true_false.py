"""Accuracy and consistency of true or false, as in NLVR. Knows no model and no images."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple


class Statements(NamedTuple):
    """Shares of 0..1: of statements judged rightly, and of sentences judged rightly on all their pictures."""

    accuracy: float
    consistency: float


def judged(answers: Sequence[bool], truth: Sequence[bool], sentences: Sequence[Hashable]) -> Statements:
    """Accuracy and consistency; `sentences` says which statements are one sentence about several pictures.

    Source: Suhr et al. 2019, section 5; metrics.py of lil-lab/nlvr. Raises ValueError where the numbers
    differ or are 0.
    """
    if not answers or not len(answers) == len(truth) == len(sentences):
        raise ValueError(f"got {len(answers)} answers, {len(truth)} truths, {len(sentences)} sentences")
    right = [a == t for a, t in zip(answers, truth, strict=True)]
    whole: dict[Hashable, bool] = {}
    for sentence, one in zip(sentences, right, strict=True):
        whole[sentence] = whole.get(sentence, True) and one
    return Statements(sum(right) / len(right), sum(whole.values()) / len(whole))


def statement_figures(
    said: Sequence[bool], truth: Sequence[bool], sentences: Sequence[Hashable]
) -> dict[str, float]:
    """What reports on statements say: how many, accuracy, consistency, the more frequent verdict's share."""
    result, share = judged(said, truth, sentences), sum(truth) / len(truth)
    figures = {"statements": len(truth), "nlvr_accuracy": result.accuracy}
    return figures | {"nlvr_consistency": result.consistency, "majority_share": max(share, 1 - share)}
