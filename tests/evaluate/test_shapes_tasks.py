"""The judge of answers and edits accepts the truth and nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.tiny_model import BRIEF, tiny_model
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.evaluate.report import Report
from unitok.evaluate.shapes_tasks import EDITS, SCORERS, measure_task, tasks_report
from unitok.evaluate.suites import run_suite
from unitok.generation.sampling import Sampling
from unitok.modalities.geometry import Box, Point
from unitok.modalities.location_bins import BoxModality, PointModality
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes.judge import edit_is_right
from unitok.worlds.shapes.pixels import render
from unitok.worlds.shapes.tasks import TASKS, ShapesTasks, sample_task
from unitok.worlds.shapes.world import Scene, SceneObject


class Oracle(UniTok):
    """Answers as a source does, but for the documents in `wrong`, where it answers a neighbour's question."""

    def __init__(self, source, wrong=()):
        self.source, self.wrong = source, wrong
        self.codec = tiny_model(more=[BoxModality(9), PointModality(9)]).codec

    def generate(self, prompts, *, target, batch_size, max_segments):
        documents = []
        for i, prompt in enumerate(prompts):
            true = self.source[i]
            assert true[: len(prompt)] == prompt and all(not segment.learn for segment in prompt)
            answer = true[len(prompt) :]
            assert target in (None, answer[0].modality) and len(answer) <= max_segments
            documents.append((*prompt, *(map(self.spoil, answer) if i in self.wrong else answer)))
        return documents

    def spoil(self, segment):
        other = {
            "text": "no such answer",
            "box": Box(0, 0, 0.001, 0.001),
            "point": Point(0, 0),
            "image": Image.fromarray(render(Scene((), 48))),
        }
        return Segment(segment.modality, other[segment.modality])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("held_out", [False, True])
def test_who_repeats_the_truth_is_right_and_who_does_not_is_not(task, held_out):
    source = ShapesTasks(TEST_SEED, 10, 48, [task], held_out=held_out)
    report = measure_task(Oracle(source, wrong=[2, 5]), source, task, prefix="x_")
    assert report.figures == {f"x_{task}_{SCORERS[task].figure}": pytest.approx(0.8)}
    assert list(report.sheets) == [f"x_{task}"]


def test_every_task_has_a_scorer():
    assert SCORERS.keys() == TASKS.keys()


def test_tasks_of_modalities_that_a_model_lacks_are_left_out():
    source = ShapesTasks(TEST_SEED, 1, 48, ["box"])
    assert measure_task(tiny_model(), source, "box").figures == {}


CIRCLE = SceneObject("circle", "red", "small", 12, 20)
SQUARE = SceneObject("square", "blue", "large", 44, 30)
BEFORE = Scene((CIRCLE, SQUARE), 64)
BLUE = Scene((replace(CIRCLE, colour="blue"), SQUARE), 64)


def test_an_edit_changes_what_it_names_and_nothing_else():
    assert edit_is_right(render(BLUE), BEFORE, BLUE)
    wrong = {
        "nothing done": BEFORE,
        "the other changed too": Scene((BLUE.objects[0], replace(SQUARE, colour="red")), 64),
        "the other moved": Scene((BLUE.objects[0], replace(SQUARE, x=40)), 64),
        "it moved": Scene((replace(BLUE.objects[0], y=26), SQUARE), 64),
        "the other is gone": Scene(BLUE.objects[:1], 64),
    }
    for name, scene in wrong.items():
        assert not edit_is_right(render(scene), BEFORE, BLUE), name


def test_a_new_object_may_lie_anywhere_in_its_place():
    new = SceneObject("star", "green", "small", 12, 52)
    after = Scene((*BEFORE.objects, new), 64)
    moved = Scene((*BEFORE.objects, replace(new, x=9, y=54)), 64)
    away = Scene((*BEFORE.objects, replace(new, x=32, y=54)), 64)
    assert edit_is_right(render(moved), BEFORE, after) and not edit_is_right(render(away), BEFORE, after)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([name for name in TASKS if name.startswith("edit")]))
def test_true_edits_are_right_and_undone_ones_are_not(seed, task):
    sample = sample_task(seed, tasks=[task], canvas=64)
    after = sample.turns[0].answer[0].content
    assert edit_is_right(render(after), sample.scene, after)
    assert not edit_is_right(render(sample.scene), sample.scene, after)


def test_tasks_of_an_untrained_model(tmp_path):
    model = tiny_model(shape=(3, 3), max_length=700, more=[BoxModality(), PointModality()])
    model.sampling["text"] = Sampling(temperature=0.0, max_new_tokens=4)
    tasks = ["color", "box", "pointing"]
    report = tasks_report(model, canvas=48, count=2, tasks=tasks)
    figures = {"color_accuracy", "box_mean_iou", "pointing_accuracy"}
    assert report.figures.keys() == {"scenes"} | figures | {f"heldout_{name}" for name in figures}
    assert all(0 <= report.figures[name] <= 1 for name in figures)
    assert set(report.sheets) == {f"{prefix}{task}" for prefix in ("", "heldout_") for task in tasks}


def test_edits_of_all_kinds_have_one_figure_too(monkeypatch):
    shares = dict(zip(EDITS, (0.5, 0.75, 1.0, 0.25), strict=True))
    monkeypatch.setattr(
        "unitok.evaluate.shapes_tasks.measure_task",
        lambda model, source, task, *, prefix, batch_size: Report(
            {f"{prefix}{task}_accuracy": shares[task] - 0.25 * bool(prefix)}
        ),
    )
    figures = tasks_report(tiny_model(sampling=BRIEF), canvas=48, count=1, tasks=EDITS).figures
    assert (figures["edits_accuracy"], figures["heldout_edits_accuracy"]) == (0.625, 0.375)
    some = tasks_report(tiny_model(), canvas=48, count=1, tasks=EDITS[:3]).figures
    assert "edits_accuracy" not in some


def test_tasks_are_named_for_their_own_suite_alone(tmp_path):
    model = tiny_model(shape=(12, 12), max_length=700, sampling=BRIEF)
    report = run_suite(model, "tasks", tasks=["statement_three"], count=2)
    assert report.figures.keys() == {"scenes", "statement_three_accuracy", "heldout_statement_three_accuracy"}
    with pytest.raises(ValueError, match="suite shapes does not take tasks; tasks does"):
        run_suite(model, "shapes", tasks=["count"])
    with pytest.raises(ValueError, match=r"tasks must be some of color.*got tasks .'colour'"):
        run_suite(model, "tasks", tasks=["colour"], count=2)
