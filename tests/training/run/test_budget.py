"""A run's wall-clock budget."""

import time
from unittest.mock import Mock

import pytest
from lightning.pytorch import LightningModule, Trainer

from unitok.training.run.budget import COMPILED_STEPS, Budget, repays_compiling


@pytest.mark.parametrize(("compiled", "counted"), [(True, 0), (False, 1)])
def test_the_first_steps_of_a_compiled_model_are_not_counted(compiled, counted):
    budget, trainer = Budget("00:01:00:00"), Mock(spec=Trainer, should_stop=False)
    module = Mock(spec=LightningModule, compiled=compiled)
    trainer.strategy.broadcast.side_effect = lambda flag: flag
    budget.on_train_start(trainer, module)
    for _ in range(COMPILED_STEPS):
        time.sleep(0.05)
        budget.on_train_batch_end(trainer, module)
    assert (budget.time_elapsed() >= 0.05) == bool(counted)
    time.sleep(0.05)
    budget.on_train_batch_end(trainer, module)
    assert budget.time_elapsed() >= 0.05


@pytest.mark.parametrize(("limit", "repays"), [("00:00:02:00", False), ("00:00:10:00", True), (None, True)])
def test_a_short_run_is_not_compiled_and_says_so(limit, repays):
    trainer = Mock(spec=Trainer, callbacks=[Budget(limit)] if limit else [])
    assert repays_compiling(trainer) == repays
    said = [call.args[0] for call in trainer.print.call_args_list]
    expected = "not compiled: that takes about 60 s, which a run of 120 s does not make up for"
    assert said == ([] if repays else [expected])
