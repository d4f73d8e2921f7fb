"""Gradient accumulation that no checkpoint cuts in two. Knows no model."""

import math
import sys

from lightning.pytorch import Trainer


def inside_step(trainer: Trainer) -> bool:
    """Whether accumulated gradients still wait for further batches of their step.

    Args:
        trainer: its module has `accumulate`, the batches per step; an epoch's last step may have fewer.
    """
    ready = trainer.fit_loop.epoch_loop.batch_progress.current.ready
    return ready % trainer.lightning_module.accumulate != 0 and not trainer.is_last_batch


def check_validations(trainer: Trainer, *, setting: str) -> None:
    """Check before the first batch that all validations fall between steps.

    Args:
        trainer: its module has `accumulate`.
        setting: name of the setting that gives `accumulate`.

    Raises:
        ValueError: a validation, with its checkpoint, would fall inside a step and lose gradients.
    """
    accumulate = trainer.lightning_module.accumulate
    first = _first_inside_step(trainer, accumulate)
    if first is not None:
        interval = getattr(trainer, "val_check_interval", "a time")
        raise ValueError(
            f"trainer.val_check_interval={interval} validates {first}, inside a step of {setting}="
            f"{accumulate}: its checkpoint would lose gradients; give a multiple of {accumulate}, and "
            "trainer.check_val_every_n_epoch=1 if an epoch is not a whole number of steps"
        )


def _first_inside_step(trainer: Trainer, accumulate: int) -> str | None:
    """The first validation that falls inside a step, in words; None if there is none."""
    epoch, every = trainer.num_training_batches, trainer.val_check_batch
    if accumulate == 1 or not trainer.enable_validation:
        return None
    if every is None:
        return "by the clock"
    if math.isinf(every):  # at the ends of epochs
        return None
    if math.isinf(epoch):
        return f"after batch {every}" if every % accumulate else None
    through_epochs = trainer.check_val_every_n_epoch is None
    last = min(_last_batch(trainer, epoch, accumulate), math.lcm(every, epoch)) if through_epochs else epoch
    first = next((n for n in range(every, last + 1, every) if n % epoch % accumulate), None)
    return None if first is None else f"after batch {first}"


def _last_batch(trainer: Trainer, epoch: int, accumulate: int) -> int:
    """An upper bound on the number of the run's last batch."""
    ends = [epoch * trainer.max_epochs] if (trainer.max_epochs or -1) > 0 else []
    if trainer.max_steps > 0:
        ends.append(trainer.max_steps * accumulate)
    return min(ends, default=sys.maxsize)
