"""The learning-rate schedule by share of the budget, in steps or seconds. Knows no model.

A run ends after a number of steps or a wall-clock time, whichever comes first. Schedules depend on the share
of that budget spent, so that a run of "ten minutes" decays to zero on any machine.
"""

import math
from typing import Literal

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer

ScheduleKind = Literal["cosine", "linear", "constant", "wsd"]


def progress(trainer: Trainer) -> float:
    """Share of the budget spent, 0..1: the larger of the shares of steps (or epochs) and of `max_time`.

    Raises:
        ValueError: the trainer has no budget.
    """
    shares = []
    if trainer.max_steps > 0:
        shares.append(trainer.global_step / trainer.max_steps)
    elif trainer.max_epochs and trainer.max_epochs > 0:
        shares.append(trainer.global_step / max(1, trainer.estimated_stepping_batches))
    for timer in (callback for callback in trainer.callbacks if isinstance(callback, Timer)):
        left = timer.time_remaining()
        if left is not None:
            spent = timer.time_elapsed()
            shares.append(spent / max(spent + left, 1e-9))
    if not shares:
        raise ValueError(
            "a schedule needs a budget: set trainer.max_steps, trainer.max_epochs or trainer.max_time"
        )
    return min(1.0, max(shares))


def learning_rate(
    share: float,
    *,
    step: int,
    warmup_steps: int,
    kind: ScheduleKind = "cosine",
    floor: float = 0.0,
    decay_share: float = 0.2,
) -> float:
    """Learning rate as a share of its peak.

    Args:
        share: of the budget spent, 0..1.
        step: steps taken.
        warmup_steps: steps of linear warm-up from 0.
        kind: "cosine" and "linear" decay from the start; "wsd" (warm-up, stable, decay) holds the peak and
            decays linearly over the last `decay_share`; "constant" holds the peak to the end.
        floor: the value at the end.
        decay_share: share of the budget in which "wsd" decays.

    Example:
        >>> learning_rate(0.9, step=900, warmup_steps=10, kind="wsd", decay_share=0.2)
        0.5
    """
    warmup = min(1.0, (step + 1) / max(1, warmup_steps))
    decays = {
        "constant": 1.0,
        "linear": 1.0 - share,
        "cosine": 0.5 * (1 + math.cos(math.pi * share)),
        "wsd": min(1.0, (1 - share) / decay_share),
    }
    if kind not in decays:
        raise ValueError(f"schedule must be one of {', '.join(decays)}, got {kind!r}")
    return round(warmup * (floor + (1 - floor) * decays[kind]), 12)
