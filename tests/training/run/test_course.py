"""Tests of the course of a run's trainings."""

from unitok.training.run.course import Course, StepTimes


def test_a_course_is_kept_and_says_how_far_both_parts_come(tmp_path):
    forecast = Course.of([64, 3_200], images=32, minutes=5)
    assert forecast.passes == [64.0, 3_200.0] and forecast.megabytes > 50
    forecast.save(tmp_path / "forecast.json")
    assert Course.load(tmp_path / "forecast.json") == forecast
    said = str(Course([64, 3_200], [64.0, 3_200.0], 1_589, 5.0))
    assert (
        said == "tokenizer 64 steps, 64.0 passes; transformer 3,200 steps, 3200.0 passes; 1,589 MB; 5.0 min"
    )


def test_the_first_steps_which_are_slow_are_not_typical():
    times = StepTimes()
    times.seconds = [9.0, 5.0, 1.0, 1.2, 1.1]
    assert times.typical == 1.1
