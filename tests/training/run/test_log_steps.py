"""Which steps are logged."""

from unitok.training.run.log_steps import log_interval


def logged(steps: int, most: int) -> list[int]:
    return [step for step in range(steps) if (step + 1) % log_interval(step, most=most) == 0]


def test_short_runs_have_a_curve_and_long_ones_few_points():
    assert len(logged(60, 20)) >= 20 and logged(20, 20) == list(range(20))
    assert [step for step in logged(2_000, 20) if step >= 400] == list(range(419, 2_000, 20))


def test_the_interval_never_exceeds_the_setting():
    assert logged(50, 1) == list(range(50))
