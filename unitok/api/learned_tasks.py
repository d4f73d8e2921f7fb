"""Learned tasks: what a model was trained to do, with examples and figures, as its folder lists them.

Knows no weights, no files, and no library.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unitok.json_files import build_dataclass, settings_of


@dataclass(frozen=True)
class TaskExample:
    """The words of a turn in the training data: the prompt's and the answer's; an image has none."""

    prompt: str = ""
    answer: str = ""

    @property
    def text(self) -> str:
        """The words as people read them, such as "what color is it? → red"."""
        return f"{self.prompt} → {self.answer}".strip()


@dataclass(frozen=True)
class TaskFigure:
    """A figure that was measured of a task.

    Args:
        name: such as caption_accuracy.
        value: as measured.
        samples: number of samples; 0 where it is not known.
        on: the data or suite.
        date: of the measurement, YYYY-MM-DD.
    """

    name: str
    value: float
    samples: int
    on: str
    date: str

    @property
    def text(self) -> str:
        """The figure as people read it."""
        value = f"{self.value:.3f}" if isinstance(self.value, float) else self.value
        return f"{self.name} {value} ({f'{self.samples} of ' if self.samples else ''}{self.on}, {self.date})"


@dataclass(frozen=True)
class LearnedTask:
    """A task by the name of its kind, with examples of its words and the figures measured of it."""

    name: str
    examples: tuple[TaskExample, ...] = ()
    figures: tuple[TaskFigure, ...] = ()


def inherit(
    tasks: Sequence[LearnedTask], earlier: Sequence[LearnedTask] | None
) -> tuple[LearnedTask, ...] | None:
    """Adds the tasks of the model from which another one started, without figures: the weights are others.

    None where those are not recorded: what was learned before must not count as never learned.
    """
    if earlier is None:
        return None
    names = {task.name for task in tasks}
    return (*tasks, *(replace(task, figures=()) for task in earlier if task.name not in names))


def add_figures(
    tasks: Sequence[LearnedTask], figures: Mapping[str, Sequence[TaskFigure]]
) -> tuple[LearnedTask, ...]:
    """Adds figures by the names of tasks, in place of earlier ones of the same name on the same data."""
    return tuple(replace(task, figures=_merge(task.figures, figures.get(task.name, ()))) for task in tasks)


def _merge(old: Sequence[TaskFigure], new: Sequence[TaskFigure]) -> tuple[TaskFigure, ...]:
    return (*{(figure.name, figure.on): figure for figure in (*old, *new)}.values(),)


def tasks_to_json(tasks: Sequence[LearnedTask]) -> list[dict[str, Any]]:
    """Tasks as JSON values, which `tasks_from_json` reads."""
    return [
        {
            "name": task.name,
            "examples": [settings_of(example) for example in task.examples],
            "figures": [settings_of(figure) for figure in task.figures],
        }
        for task in tasks
    ]


def tasks_from_json(values: Any) -> tuple[LearnedTask, ...]:
    """Reads tasks from JSON values. Raises ValueError naming the key that is missing, unknown or mistyped."""
    if not isinstance(values, list):
        raise ValueError(f"must be a list, got {type(values).__name__}")
    return tuple(map(_task_from_json, values))


def _task_from_json(values: Any) -> LearnedTask:
    parts = {"examples": TaskExample, "figures": TaskFigure}
    if isinstance(values, dict):
        values = dict(values)
        for name, kind in parts.items():
            if isinstance(values.get(name), list):
                values[name] = [build_dataclass(kind, one) for one in values[name]]
    return build_dataclass(LearnedTask, values)
