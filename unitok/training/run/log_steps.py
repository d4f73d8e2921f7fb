"""Which steps are logged: every one at first, then fewer. Knows no model."""

from lightning.pytorch import Trainer


def logs_step(trainer: Trainer) -> bool:
    """Whether the values of the step in progress reach the log, at the number of that step."""
    return (trainer.fit_loop.epoch_loop._batches_that_stepped + 1) % trainer.log_every_n_steps == 0


def log_interval(step: int, *, most: int) -> int:
    """Steps between two logged ones: 1 up to step 20, then a tenth of the steps so far, `most` in the end."""
    return min(most, max(1, (step + 1) // 10))
