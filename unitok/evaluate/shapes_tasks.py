"""Accuracy of answers and edits in the shapes world, by task. Knows only a model's public calls."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from PIL import Image

from unitok.api.contact_sheet import sheet, side_by_side
from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.evaluate.metrics.grounding import iou, pointing_scores
from unitok.evaluate.report import MAX_SHOWN, Report
from unitok.evaluate.suites import SceneSuite, register
from unitok.modalities.geometry import Box, Point
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes.judge import edit_is_right
from unitok.worlds.shapes.questions import QuestionAnswer, box_of
from unitok.worlds.shapes.tasks import USUAL, ShapesTasks
from unitok.worlds.shapes.world import Scene, SceneObject

MAX_SEGMENTS = 5  # of an answer whose end the model chooses
EDITS = ("edit_colour", "edit_size", "edit_remove", "edit_add")
HELD_OUT = {"": False, "heldout_": True}
"""Whether scenes show a held-out composition, by the prefix of their figures."""


class Scorer(ABC):
    """How answers of one kind are generated and scored.

    `target` is the modality of the answer, or None if the model chooses its segments; `figure` is the name of
    a task's mean score; `learned_as` is what a model must have learned (api/task_kinds.py).
    """

    target: str | None
    figure = "accuracy"
    learned_as = "questions"

    @abstractmethod
    def score(self, scene: Scene, qa: QuestionAnswer, answer: Sequence[Segment]) -> float:
        """Score of an answer, 0..1; from 0.5 on the contact sheet marks it as right."""


class ExactText(Scorer):
    """Right if the text equals the true one."""

    target = "text"

    def score(self, scene: Scene, qa: QuestionAnswer, answer: Sequence[Segment]) -> float:
        return float(answer[0].content == qa.answer[0].content)


class BoxOverlap(Scorer):
    """A box's intersection over union with the true one."""

    target, figure, learned_as = "box", "mean_iou", "boxes"

    def score(self, scene: Scene, qa: QuestionAnswer, answer: Sequence[Segment]) -> float:
        return iou(answer[0].content.numbers, qa.answer[0].content.numbers)


class PointInBox(Scorer):
    """Right if the point lies in the object's box."""

    target, learned_as = "point", "boxes"

    def score(self, scene: Scene, qa: QuestionAnswer, answer: Sequence[Segment]) -> float:
        return float(_hit_all([answer[0].content], qa.about, scene.canvas))


class CountByPointing(Scorer):
    """Right if there is exactly one point in each object's box, and the text is their number."""

    target, learned_as = None, "boxes"

    def score(self, scene: Scene, qa: QuestionAnswer, answer: Sequence[Segment]) -> float:
        points = [segment.content for segment in answer if segment.modality == "point"]
        texts = [segment.content for segment in answer if segment.modality == "text"]
        return float(texts == [qa.answer[-1].content] and _hit_all(points, qa.about, scene.canvas))


class RightEdit(Scorer):
    """Right if the judge finds the scene after the edit in the image."""

    target, learned_as = "image", "edits"

    def score(self, scene: Scene, qa: QuestionAnswer, answer: Sequence[Segment]) -> float:
        return float(edit_is_right(np.asarray(answer[0].content), scene, qa.answer[0].content))


def _hit_all(points: Sequence[Point], objects: Sequence[SceneObject], canvas: int) -> bool:
    """Whether there is exactly one point in each object's box."""
    boxes = [box_of(item, canvas).numbers for item in objects]
    return pointing_scores([point.numbers for point in points], boxes).f1 == 1


SCORERS: dict[str, Scorer] = {
    **dict.fromkeys(("color", "shape", "count", "exist", "relation", "name", "choice"), ExactText()),
    **dict.fromkeys(("statement", "statement_two", "statement_three"), ExactText()),
    **dict.fromkeys(EDITS, RightEdit()),
    "box": BoxOverlap(),
    "point": PointInBox(),
    "pointing": CountByPointing(),
}
"""Scorers by the name of the task."""


def tasks_report(
    model: UniTok,
    *,
    canvas: int,
    count: int = 200,
    batch_size: int = 128,
    tasks: Sequence[str] = tuple(USUAL),
) -> Report:
    """Measure each task whose modalities the model has, on `count` unseen scenes and on as many with a
    held-out composition (`heldout_…`).

    `edits_accuracy` is the mean over the kinds of edits, if all are measured.
    """
    report = Report({"scenes": count})
    for task in tasks:
        for prefix, held_out in HELD_OUT.items():
            source = ShapesTasks(TEST_SEED, count, canvas, [task], held_out=held_out)
            report |= measure_task(model, source, task, prefix=prefix, batch_size=batch_size)
    return report | _mean_of_edits(report)


def _mean_of_edits(report: Report) -> Report:
    """The mean over the kinds of edits; empty if one of them is missing."""
    figures = {}
    for prefix in HELD_OUT:
        scores = [report.figures.get(f"{prefix}{task}_{RightEdit.figure}") for task in EDITS]
        if None not in scores:
            figures[f"{prefix}edits_{RightEdit.figure}"] = sum(scores) / len(scores)
    return Report(figures)


def measure_task(
    model: UniTok, source: ShapesTasks, task: str, *, prefix: str = "", batch_size: int = 128
) -> Report:
    """The mean score on a source of one task, with a contact sheet; empty if the model lacks a modality."""
    samples = [source.sample(index) for index in range(len(source))]
    turns = [sample.turns[0] for sample in samples]
    needed = {segment.modality for qa in turns for segment in (*qa.question, *qa.answer)}
    if not needed <= model.codec.modalities.keys():
        return Report()
    prompts = [
        source[i][: len(sample.scenes) + len(qa.question)]
        for i, (sample, qa) in enumerate(zip(samples, turns, strict=True))
    ]
    scorer = SCORERS[task]
    documents = model.generate(
        prompts, target=scorer.target, batch_size=batch_size, max_segments=MAX_SEGMENTS
    )
    answers = [document[len(prompt) :] for prompt, document in zip(prompts, documents, strict=True)]
    scores = [
        scorer.score(sample.scene, qa, answer)
        for sample, qa, answer in zip(samples, turns, answers, strict=True)
    ]
    name = f"{prefix}{task}"
    image = _answers_sheet(prompts, answers, [score >= 0.5 for score in scores])
    return Report({f"{name}_{scorer.figure}": sum(scores) / len(scores)}, {name: image})


def _answers_sheet(
    prompts: Sequence[Document], answers: Sequence[Sequence[Segment]], right: Sequence[bool]
) -> Image.Image:
    """Contact sheet of the images in the answers, or else in the prompts, with question and answer."""
    shown = list(zip(prompts, answers, right, strict=True))[:MAX_SHOWN]
    images = [side_by_side(_images(answer) or _images(prompt)) for prompt, answer, _ in shown]
    labels = [" ".join(filter(None, map(_format, (*prompt, *answer)))) for prompt, answer, _ in shown]
    return sheet(images, labels, marks=[mark for _, _, mark in shown])


def _images(segments: Sequence[Segment]) -> list[Image.Image]:
    return [segment.content for segment in segments if segment.modality == "image"]


def _format(segment: Segment) -> str:
    if isinstance(segment.content, Box | Point):
        return "(" + ", ".join(f"{value:.2f}" for value in segment.content.numbers) + ")"
    return segment.content if isinstance(segment.content, str) else ""


@register(
    "tasks",
    measures={
        f"{prefix}{name}_{scorer.figure}": scorer.learned_as
        for name, scorer in SCORERS.items()
        for prefix in HELD_OUT
    },
    counted="scenes",
)
class Tasks(SceneSuite):
    """Questions and edits about unseen scenes, and about as many with a held-out composition.

    Args:
        tasks: names among worlds.shapes.tasks.TASKS; None for the usual ones that the model learned.
        count: scenes of each task.

    Raises:
        ValueError: no task is given, and the model learned none of them.
    """

    tasks: Sequence[str] | None = None
    count: int = 200

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        tasks = self.tasks
        if tasks is None:
            tasks = [name for name in USUAL if not model.unlearned(SCORERS[name].learned_as)]
        if not tasks:
            raise ValueError(f"suite tasks has nothing to measure: {self.never_learned(model)}")
        options = {"canvas": self.canvas(model), "count": self.count, "tasks": tasks}
        return tasks_report(model, batch_size=batch_size, **options)

    def never_learned(self, model: UniTok) -> str | None:
        needed = list(
            dict.fromkeys(SCORERS[name].learned_as for name in self.tasks or USUAL if name in SCORERS)
        )
        missing = [task for task in needed if model.unlearned(task)]
        return model.unlearned(*(needed if self.tasks is None else missing))
