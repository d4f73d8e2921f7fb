"""Actions of vision-language-action models: chunks of steps as bins per axis. Knows no joint ids."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitok.modalities.bins import BinsModality
from unitok.modalities.kinds import modality_kind

BINS = 256
PERCENTILES = 1, 99  # of the training actions: the range of an axis


@dataclass(frozen=True)
class Action:
    """A chunk of steps, each with one number per axis, such as a place in pixels or an angle in radians.

    Raises ValueError if there is no number, steps differ in length, or a number is not finite.
    """

    steps: tuple[tuple[float, ...], ...]

    def __post_init__(self):
        if len({len(step) for step in self.steps}) != 1 or not self.numbers:
            raise ValueError(f"steps must have equally many numbers, at least one, got {self.steps}")
        if not all(map(math.isfinite, self.numbers)):
            raise ValueError(f"numbers must be finite, got {self.steps}")

    @property
    def numbers(self) -> tuple[float, ...]:
        """The numbers of all steps, one step after another."""
        return tuple(number for step in self.steps for number in step)


@modality_kind
class ActionModality(BinsModality):
    """Actions as bins per axis, as OpenVLA has them (arXiv:2406.09246, section 3.2), in chunks of steps, as
    ACT has them (arXiv:2304.13705).

    Args:
        low, high: range of each axis, in the unit of the actions; see `fit`.
        bins: number of bins per axis.
        steps: number of steps of a chunk.
        labels: names of the steps in the text of an action, or none.
    """

    name, content = "action", Action

    def __init__(
        self,
        low: Sequence[float],
        high: Sequence[float],
        bins: int = BINS,
        steps: int = 1,
        labels: Sequence[str] = (),
    ):
        super().__init__(bins, low, high, rows=steps)
        if labels and len(labels) != steps:
            raise ValueError(f"labels must be none or one for each of {steps} steps, got {list(labels)}")
        self.labels = tuple(labels)

    @classmethod
    def fit(cls, actions: Iterable[Action], bins: int = BINS, labels: Sequence[str] = ()) -> "ActionModality":
        """The modality of training actions, with ranges from the 1st to the 99th percentile of each axis, so
        that outliers do not widen the bins (OpenVLA, section 3.2).

        Raises ValueError if actions differ in shape, there are none, or an axis is constant.
        """
        chunks = [action.steps for action in actions]
        shapes = {(len(steps), len(steps[0])) for steps in chunks}
        if len(shapes) != 1:
            raise ValueError(f"actions must have one shape, got {sorted(shapes)}")
        low, high = np.percentile(np.concatenate(chunks), PERCENTILES, axis=0).tolist()
        return cls(low, high, bins, len(chunks[0]), labels)

    def _build(self, numbers: Sequence[float]) -> Action:
        rows = range(0, len(numbers), self.axes)
        return Action(tuple(tuple(numbers[start : start + self.axes]) for start in rows))

    def settings(self) -> dict[str, Any]:
        axes = {"low": list(self.low), "high": list(self.high)}
        return axes | {"bins": self.size, "steps": self.rows, "labels": list(self.labels)}

    def as_text(self, content: Action) -> str:
        """Such as "pick (12, 30), place (40, 8)", with the decimals that bins resolve."""
        widths = [(high - low) / self.size for low, high in zip(self.low, self.high, strict=True)]
        decimals = [max(0, math.floor(-math.log10(width))) for width in widths]
        steps = [
            "(" + ", ".join(f"{value:.{n}f}" for value, n in zip(step, decimals, strict=True)) + ")"
            for step in content.steps
        ]
        labels = self.labels or [""] * self.rows
        return ", ".join(f"{label} {step}".lstrip() for label, step in zip(labels, steps, strict=True))
