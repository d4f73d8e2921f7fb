"""POPE: accuracy, precision, recall and F1 of yes or no. Knows no model and no images."""

from collections.abc import Sequence
from typing import NamedTuple

DENIALS = frozenset(("No", "not", "no"))


class YesNo(NamedTuple):
    """Shares of 0..1; "yes" is the positive answer. A share of nothing is 0."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    yes_ratio: float


def says_yes(answer: str) -> bool:
    """Whether an answer counts as yes: its first sentence has neither "No", "no" nor "not" as a word.

    Source: RUCAIBox/POPE's evaluate.py; whatever does not deny is a yes, so "none" is one too.
    """
    words = answer.partition(".")[0].replace(",", "").split(" ")
    return DENIALS.isdisjoint(words)


def pope(answers: Sequence[bool], truth: Sequence[bool]) -> YesNo:
    """Figures of POPE (Li et al. 2023, section 4). Raises ValueError where the numbers differ or are 0."""
    if not answers or len(answers) != len(truth):
        raise ValueError(f"got {len(answers)} answers to {len(truth)} questions")
    both = sum(a and t for a, t in zip(answers, truth, strict=True))
    right = sum(a == t for a, t in zip(answers, truth, strict=True))
    said, true = sum(answers), sum(truth)
    return YesNo(
        accuracy=right / len(truth),
        precision=both / max(1, said),
        recall=both / max(1, true),
        f1=2 * both / max(1, said + true),
        yes_ratio=said / len(truth),
    )
