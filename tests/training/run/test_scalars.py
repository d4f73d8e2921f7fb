"""The scalars of a run's log."""

from torch.utils.tensorboard import SummaryWriter

from unitok.training.run.scalars import read_scalars


def test_all_values_are_read_also_after_a_resumption(tmp_path):
    for steps in (range(0, 600), range(500, 1200)):  # more than TensorBoard samples by itself
        with SummaryWriter(str(tmp_path)) as log:
            for step in steps:
                log.add_scalar("val/loss", step / 8, step)
    assert read_scalars(tmp_path, "val/loss") == {step: step / 8 for step in range(1200)}
    assert read_scalars(tmp_path, "absent") == {}
