"""The learning-rate schedule by share of the budget, in steps or seconds. Knows no model.

A run ends after a number of steps or a wall-clock time, whichever comes first; schedules are functions of the
share of that budget which is spent, so that a run of "ten minutes" decays to zero on any machine.
"""

import math
from collections.abc import Mapping
from typing import Literal

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer
from torch.optim import Optimizer

Kind = Literal["cosine", "linear", "constant", "wsd"]


def progress(trainer: Trainer) -> float:
    """Share of the budget spent, 0..1: of `max_steps` and of `max_time`, whichever is further.

    Raises:
        ValueError: the trainer has neither.
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
            "a schedule needs an end: set trainer.max_steps, trainer.max_epochs or trainer.max_time"
        )
    return min(1.0, max(shares))


def learning_rate(
    share: float,
    *,
    step: int,
    warmup_steps: int,
    kind: Kind = "cosine",
    floor: float = 0.0,
    decay_share: float = 0.2,
) -> float:
    """Factor on the peak learning rate.

    Args:
        share: of the budget spent, 0..1.
        step: batches seen.
        warmup_steps: of linear rise from 0.
        kind: "cosine" and "linear" fall from the start; "wsd" (warm-up, stable, decay) holds the peak and
            falls linearly over the last `decay_share`; "constant" holds it to the end.
        floor: the factor at the end.
        decay_share: of the budget, for "wsd".

    Example:
        >>> learning_rate(0.9, step=900, warmup_steps=10, kind="wsd", decay_share=0.2)
        0.5
    """
    rise = min(1.0, (step + 1) / max(1, warmup_steps))
    falls = {
        "constant": 1.0,
        "linear": 1.0 - share,
        "cosine": 0.5 * (1 + math.cos(math.pi * share)),
        "wsd": min(1.0, (1 - share) / decay_share),
    }
    if kind not in falls:
        raise ValueError(f"schedule is one of {', '.join(falls)}, not {kind!r}")
    return round(rise * (floor + (1 - floor) * falls[kind]), 12)


def set_rates(
    optimizer: Optimizer,
    rates: Mapping[str, float],
    *,
    share: float,
    step: int,
    warmup_steps: int,
    kind: Kind,
) -> None:
    """Give an optimizer the learning rates of a step, from the config alone: a checkpoint's are not kept.

    Args:
        rates: the peaks, "muon_lr" of the groups that are Muon's and "lr" of the others.
        share, step, warmup_steps, kind: see `learning_rate`.
    """
    factor = learning_rate(share, step=step, warmup_steps=warmup_steps, kind=kind)
    for group in optimizer.param_groups:
        group["lr"] = factor * rates["muon_lr" if group.get("muon") else "lr"]
