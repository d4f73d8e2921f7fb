"""POPE: accuracy, precision, recall and F1 of yes or no. Knows no model and no images."""

from collections.abc import Sequence
from typing import NamedTuple

DENIALS = frozenset(("No", "not", "no"))


class YesNo(NamedTuple):
    """Scores in 0..1 with "yes" as the positive class; 0 where the denominator is 0."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    yes_ratio: float


def says_yes(answer: str) -> bool:
    """Whether an answer counts as yes: its first sentence has none of the words "No", "no" and "not".

    Source: RUCAIBox/POPE's evaluate.py; by this rule, "none" counts as yes too.
    """
    words = answer.partition(".")[0].replace(",", "").split(" ")
    return DENIALS.isdisjoint(words)


def pope(answers: Sequence[bool], truth: Sequence[bool]) -> YesNo:
    """POPE's scores (Li et al. 2023, section 4). Raises ValueError if the counts differ or are 0."""
    if not answers or len(answers) != len(truth):
        raise ValueError(f"got {len(answers)} answers to {len(truth)} questions")
    true_positives = sum(a and t for a, t in zip(answers, truth, strict=True))
    right = sum(a == t for a, t in zip(answers, truth, strict=True))
    predicted, positives = sum(answers), sum(truth)
    return YesNo(
        accuracy=right / len(truth),
        precision=true_positives / max(1, predicted),
        recall=true_positives / max(1, positives),
        f1=2 * true_positives / max(1, predicted + positives),
        yes_ratio=predicted / len(truth),
    )
