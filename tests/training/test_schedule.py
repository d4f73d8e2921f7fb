"""Progress of a run, by steps or seconds, and its learning rate."""

import math
from itertools import pairwise
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer

from unitok.training.schedule import learning_rate, progress

KINDS = ("cosine", "linear", "constant", "wsd")


class Clock(Timer):
    """A timer of which `spent` of `duration` seconds have passed."""

    def __init__(self, spent: float, duration: float | None):
        super().__init__()
        self.spent, self.duration = spent, duration

    def time_elapsed(self, stage=None):
        return self.spent

    def time_remaining(self, stage=None):
        return None if self.duration is None else self.duration - self.spent


def trainer(step=0, max_steps=-1, max_epochs=-1, batches=0, callbacks=()) -> Mock:
    return Mock(spec=Trainer, global_step=step, max_steps=max_steps, max_epochs=max_epochs,
                estimated_stepping_batches=batches, callbacks=[*callbacks])  # fmt: skip


def test_progress_is_whichever_budget_is_spent_further():
    assert progress(trainer(25, max_steps=100)) == 0.25
    assert progress(trainer(25, max_epochs=2, batches=50)) == 0.5
    assert progress(trainer(callbacks=[Clock(30, 120)])) == 0.25
    assert progress(trainer(25, max_steps=100, callbacks=[Clock(60, 120)])) == 0.5
    assert progress(trainer(75, max_steps=100, callbacks=[Clock(60, 120), Clock(1, None)])) == 0.75
    assert progress(trainer(callbacks=[Clock(130, 120)])) == 1.0


def test_a_run_without_an_end_is_refused():
    with pytest.raises(ValueError, match=r"set trainer\.max_steps"):
        progress(trainer(callbacks=[Clock(1, None)]))


@pytest.mark.parametrize("kind", KINDS)
@given(shares=st.lists(st.floats(0, 1), min_size=2), floor=st.floats(0, 1))
def test_after_the_warm_up_the_rate_never_rises(kind, shares, floor):
    rates = [
        learning_rate(share, step=99, warmup_steps=10, kind=kind, floor=floor) for share in sorted(shares)
    ]
    assert all(a >= b for a, b in pairwise(rates))
    assert all(floor - 1e-9 <= rate <= 1 for rate in rates)


def test_the_rate_at_known_places():
    assert [learning_rate(0.0, step=i, warmup_steps=4) for i in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert learning_rate(0.25, step=9, warmup_steps=0, kind="linear") == 0.75
    assert learning_rate(1 / 3, step=9, warmup_steps=0, kind="cosine") == pytest.approx(0.75)
    assert learning_rate(0.79, step=9, warmup_steps=0, kind="wsd") == 1.0
    assert learning_rate(0.95, step=9, warmup_steps=0, kind="wsd") == pytest.approx(0.25)
    for kind in ("cosine", "linear", "wsd"):
        assert math.isclose(learning_rate(1.0, step=9, warmup_steps=0, kind=kind, floor=0.1), 0.1)
