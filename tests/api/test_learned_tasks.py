"""A list of tasks is kept as JSON, gains figures, and is inherited without those of other weights."""

import json

import pytest

from unitok.api.learned_tasks import (
    LearnedTask,
    TaskExample,
    TaskFigure,
    add_figures,
    inherit,
    tasks_from_json,
    tasks_to_json,
)

RIGHT = TaskFigure("caption_accuracy", 0.9, 500, "shapes", "2026-11-22")
CAPTIONS = LearnedTask("captions", (TaskExample("", "a red star"),), (RIGHT,))
BOXES = LearnedTask("boxes", (TaskExample("where is the star?", "<box>"),))


def test_tasks_survive_json():
    values = json.loads(json.dumps(tasks_to_json([CAPTIONS, BOXES])))
    assert tasks_from_json(values) == (CAPTIONS, BOXES)


@pytest.mark.parametrize(
    "values, named",
    [
        ({}, "list"), ([3], "object"), ([{}], "name"), ([{"name": 3}], "name"),
        ([{"name": "x", "examples": [{"prompt": 3}]}], "prompt"), ([{"name": "x", "more": 1}], "more"),
        ([{"name": "x", "figures": "good"}], "figures"), ([{"name": "x", "figures": [{}]}], "value"),
    ],
)  # fmt: skip
def test_a_list_that_is_no_list_of_tasks_is_named(values, named):
    with pytest.raises(ValueError, match=named):
        tasks_from_json(values)


def test_a_figure_replaces_the_earlier_one_of_its_data():
    later = TaskFigure("caption_accuracy", 0.95, 100, "shapes", "2026-11-23")
    other = TaskFigure("caption_accuracy", 0.5, 100, "pairs", "2026-11-23")
    captions, boxes = add_figures([CAPTIONS, BOXES], {"captions": [later, other], "drawings": [later]})
    assert captions.figures == (later, other) and boxes == BOXES
    assert later.text == "caption_accuracy 0.950 (100 of shapes, 2026-11-23)"


def test_a_model_that_starts_from_another_keeps_its_tasks_but_no_figure():
    assert inherit([BOXES], [CAPTIONS, BOXES]) == (BOXES, LearnedTask("captions", CAPTIONS.examples))
    assert inherit([BOXES], ()) == (BOXES,) and inherit([BOXES], None) is None
