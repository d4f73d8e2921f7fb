"""What is done by the clock takes little of a run's time."""

import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from lightning.pytorch import Trainer

from unitok.training.run import clock as clock_module
from unitok.training.run.clock import Clock

ALONE = Mock(spec=Trainer, strategy=SimpleNamespace(reduce_boolean_decision=lambda flag, all: flag))


@pytest.fixture
def now(monkeypatch):
    moment = SimpleNamespace(time=100.0)
    monkeypatch.setattr(clock_module.time, "monotonic", lambda: moment.time)
    yield moment
    monkeypatch.setattr(clock_module.time, "monotonic", time.monotonic)


@pytest.mark.parametrize(("takes", "waits"), [(0.0, 10), (0.5, 10), (2.0, 40)])
def test_it_waits_for_its_seconds_or_twenty_times_what_it_took(now, takes, waits):
    clock = Clock(10)
    assert not clock.due(ALONE)
    now.time += 10
    assert clock.due(ALONE)
    with clock.measured():
        now.time += takes
    now.time += waits - 0.01
    assert not clock.due(ALONE)
    now.time += 0.02
    assert clock.due(ALONE)
