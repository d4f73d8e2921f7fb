"""Accuracy of answers and edits in the shapes world, by task. Knows a model's public calls alone."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from PIL import Image

from unitok.api.unitok import UniTok
from unitok.contact_sheet import sheet, side_by_side
from unitok.document import Document, Segment
from unitok.evaluate.metrics.grounding import iou, pointed
from unitok.evaluate.report import SHOWN, Report
from unitok.modalities.geometry import Box, Point
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes.judge import edit_is_right
from unitok.worlds.shapes.questions import Asked, box_of
from unitok.worlds.shapes.tasks import USUAL, ShapesTasks
from unitok.worlds.shapes.world import Scene, SceneObject

MOST_SEGMENTS = 5  # of an answer whose end the model chooses
EDITS = ("edit_colour", "edit_size", "edit_remove", "edit_add")
WORLDS = {"": False, "heldout_": True}
"""Whether scenes show a held-out composition, by what figures of them begin with."""


class Marker(ABC):
    """How answers of one kind are asked for and scored.

    `target` is the modality of the answer, None where the model says how it goes on; `figure` is what a
    task's mean mark is called.
    """

    target: str | None
    figure = "accuracy"

    @abstractmethod
    def mark(self, scene: Scene, asked: Asked, answer: Sequence[Segment]) -> float:
        """How right an answer is, 0..1; from a half on it counts as right on the page of pictures."""


class Words(Marker):
    """Right where the words are the true ones, to the letter."""

    target = "text"

    def mark(self, scene: Scene, asked: Asked, answer: Sequence[Segment]) -> float:
        return float(answer[0].content == asked.answer[0].content)


class Boxed(Marker):
    """A box's intersection over union with the true one."""

    target, figure = "box", "mean_iou"

    def mark(self, scene: Scene, asked: Asked, answer: Sequence[Segment]) -> float:
        return iou(answer[0].content.numbers, asked.answer[0].content.numbers)


class Pointed(Marker):
    """Right where a point lies in the object's box."""

    target = "point"

    def mark(self, scene: Scene, asked: Asked, answer: Sequence[Segment]) -> float:
        return float(_hit([answer[0].content], asked.about, scene.canvas))


class Counted(Marker):
    """Right where each object has a point of its own, none is left over, and their number is said."""

    target = None

    def mark(self, scene: Scene, asked: Asked, answer: Sequence[Segment]) -> float:
        points = [segment.content for segment in answer if segment.modality == "point"]
        words = [segment.content for segment in answer if segment.modality == "text"]
        return float(words == [asked.answer[-1].content] and _hit(points, asked.about, scene.canvas))


class Edited(Marker):
    """Right where the picture shows the scene after the edit, by the judge."""

    target = "image"

    def mark(self, scene: Scene, asked: Asked, answer: Sequence[Segment]) -> float:
        return float(edit_is_right(np.asarray(answer[0].content), scene, asked.answer[0].content))


def _hit(points: Sequence[Point], objects: Sequence[SceneObject], canvas: int) -> bool:
    """Whether the points are one in each object's box."""
    boxes = [box_of(item, canvas).numbers for item in objects]
    return pointed([point.numbers for point in points], boxes).f1 == 1


MARKERS: dict[str, Marker] = {
    **dict.fromkeys(("color", "shape", "count", "exist", "relation", "name", "choice"), Words()),
    **dict.fromkeys(("statement", "statement_two", "statement_three"), Words()),
    **dict.fromkeys(EDITS, Edited()),
    "box": Boxed(),
    "point": Pointed(),
    "pointing": Counted(),
}
"""By the name of the task."""


def tasks_report(
    model: UniTok,
    *,
    canvas: int,
    count: int = 200,
    batch_size: int = 128,
    tasks: Sequence[str] = tuple(USUAL),
) -> Report:
    """Each of the tasks that the model has the modalities for, on `count` unseen scenes and on as many with a
    held-out composition (`heldout_…`).

    `edits_accuracy` is the mean over the kinds of edits, where all are asked.
    """
    report = Report({"scenes": count})
    for task in tasks:
        for prefix, held_out in WORLDS.items():
            source = ShapesTasks(TEST_SEED, count, canvas, [task], held_out=held_out)
            report |= measure_task(model, source, task, prefix=prefix, batch_size=batch_size)
    return report | _all_edits(report)


def _all_edits(report: Report) -> Report:
    """The mean over the kinds of edits; nothing where one of them is missing."""
    figures = {}
    for prefix in WORLDS:
        marks = [report.figures.get(f"{prefix}{task}_{Edited.figure}") for task in EDITS]
        if None not in marks:
            figures[f"{prefix}edits_{Edited.figure}"] = sum(marks) / len(marks)
    return Report(figures)


def measure_task(
    model: UniTok, source: ShapesTasks, task: str, *, prefix: str = "", batch_size: int = 128
) -> Report:
    """The figure of a source of one task, and a page of it; nothing where the model lacks a modality."""
    posed = [source.posed(index) for index in range(len(source))]
    turns = [one.turns[0] for one in posed]
    needed = {segment.modality for asked in turns for segment in (*asked.question, *asked.answer)}
    if not needed <= model.codec.modalities.keys():
        return Report()
    prompts = [
        source[i][: len(one.scenes) + len(asked.question)]
        for i, (one, asked) in enumerate(zip(posed, turns, strict=True))
    ]
    marker = MARKERS[task]
    written = model.generate(prompts, target=marker.target, batch_size=batch_size, max_segments=MOST_SEGMENTS)
    found = [document[len(prompt) :] for prompt, document in zip(prompts, written, strict=True)]
    marks = [
        marker.mark(one.scene, asked, answer) for one, asked, answer in zip(posed, turns, found, strict=True)
    ]
    name = f"{prefix}{task}"
    shown = _page(prompts, found, [mark >= 0.5 for mark in marks])
    return Report({f"{name}_{marker.figure}": sum(marks) / len(marks)}, {name: shown})


def _page(
    prompts: Sequence[Document], found: Sequence[Sequence[Segment]], right: Sequence[bool]
) -> Image.Image:
    """The pictures asked about, or drawn, with question and answer under each."""
    shown = list(zip(prompts, found, right, strict=True))[:SHOWN]
    images = [side_by_side(_pictures(answer) or _pictures(prompt)) for prompt, answer, _ in shown]
    labels = [" ".join(filter(None, map(_said, (*prompt, *answer)))) for prompt, answer, _ in shown]
    return sheet(images, labels, marks=[mark for _, _, mark in shown])


def _pictures(segments: Sequence[Segment]) -> list[Image.Image]:
    return [segment.content for segment in segments if segment.modality == "image"]


def _said(segment: Segment) -> str:
    if isinstance(segment.content, Box | Point):
        return "(" + ", ".join(f"{value:.2f}" for value in segment.content.numbers) + ")"
    return segment.content if isinstance(segment.content, str) else ""
