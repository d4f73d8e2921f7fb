"""Suites: the measurements for each kind of data. Knows no training."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from unitok.api.arguments import as_int
from unitok.api.unitok import UniTok
from unitok.data.readers.question_shards import QuestionShards, StatementShards
from unitok.data.readers.webdataset import WebDataset
from unitok.data.sources import open_data
from unitok.evaluate.benchmarks import BENCHMARKS, open_benchmark
from unitok.evaluate.classification import labels_report
from unitok.evaluate.judged_sets import easy_vqa_set, pairs_set, shapes_set
from unitok.evaluate.nlvr_steps import boxes_report
from unitok.evaluate.question_shards import questions_report, statements_report
from unitok.evaluate.report import JudgedSet, Report, measure, measure_tokenizer
from unitok.evaluate.shapes_hallucination import hallucination_report
from unitok.evaluate.shapes_tasks import tasks_report
from unitok.worlds.nlvr.source import NlvrBoxes
from unitok.worlds.shapes.tasks import USUAL

JUDGED_SETS = {"easy_vqa": easy_vqa_set, "pairs": pairs_set}
DATA = (*JUDGED_SETS, "labels", "answers", "nlvr", "nlvr_boxes")
"""Suites that read a data set."""
SUITES = ("shapes", "tasks", "hallucination", *DATA, *BENCHMARKS)
SCENES = 500
TASK_SCENES = 200  # of each task


def run_suite(
    model: UniTok,
    suite: str,
    *,
    path: str | None = None,
    split: str | None = None,
    where: Mapping[str, Any] | None = None,
    tasks: Sequence[str] | None = None,
    count: int | None = None,
    batch_size: int = 128,
    **files: Any,
) -> Report:
    """Measure a model by the name of a suite.

    Args:
        model: the model to measure.
        suite: "shapes", "tasks" and "hallucination" render their scenes; "easy_vqa", "pairs", "labels",
            "answers", "nlvr" and "nlvr_boxes" read the data of `path`; the others read a benchmark's files.
        path, split: see `open_data`; only for suites that read data, of split "val" if none is given.
        where: of WebDataset; only for suites that read data.
        tasks: of the suite "tasks", names among worlds.shapes.tasks.TASKS; None measures the usual ones.
        count: number of images; None measures 500 scenes (200 of each task), or all of the data.
        batch_size: images at once.
        files: fields of a Benchmark; only for the suites of benchmarks.

    Raises:
        ValueError: the suite or a task is unknown, data or files are missing or not read by this suite, or
            count or batch_size is below 1.
    """
    if suite not in SUITES:
        raise ValueError(f"suite must be one of {', '.join(SUITES)}, got {suite!r}")
    as_int(1 if count is None else count, "count", minimum=1)
    as_int(batch_size, "batch_size", minimum=1)
    _refuse_unread(suite, files, suites=BENCHMARKS)
    _refuse_unread(suite, {"data.path": path, "split": split, "where": where}, suites=DATA)
    if tasks is not None and suite != "tasks":
        raise ValueError(f"suite {suite} has no tasks to choose, got {', '.join(tasks)}; the suite tasks has")
    if suite == "shapes":
        return shapes_report(model, canvas=_canvas(model), scenes=count or SCENES, batch_size=batch_size)
    if suite == "tasks":
        options = {"canvas": _canvas(model), "count": count or TASK_SCENES, "batch_size": batch_size}
        return tasks_report(model, tasks=tuple(tasks or USUAL), **options)
    if suite == "hallucination":
        return hallucination_report(
            model, canvas=_canvas(model), count=count or SCENES, batch_size=batch_size
        )
    if suite in BENCHMARKS:
        return open_benchmark(suite, count=count, **files).measure(model, batch_size=batch_size)
    if path is None:
        raise ValueError(f"suite {suite} reads a folder of shards: give it as --data.path")
    shards = path, split or "val", dict(where or {})
    return _data_report(model, suite, shards, count=count, batch_size=batch_size)


def _refuse_unread(suite: str, options: Mapping[str, Any], *, suites: Collection[str]) -> None:
    """Raises ValueError for options that only `suites` read: other data than intended would be measured."""
    names = [name for name, value in options.items() if value is not None]
    if names and suite not in suites:
        raise ValueError(f"suite {suite} does not take {', '.join(names)}; {', '.join(suites)} do")


def _data_report(
    model: UniTok, suite: str, shards: tuple[str, str, dict], *, count: int | None, batch_size: int
) -> Report:
    """Runs a suite that reads a data set."""
    if suite == "nlvr":
        return statements_report(model, StatementShards(*shards), count=count, batch_size=batch_size)
    if suite == "nlvr_boxes":
        return boxes_report(model, NlvrBoxes(*shards), count=count, batch_size=batch_size)
    if suite == "answers":
        boxes = "box" in model.codec.modalities and "bbox_xyxy" in WebDataset(*shards).metadata(0)
        questions = QuestionShards(*shards, boxes=boxes)
        return questions_report(model, questions, count=count, batch_size=batch_size)
    where = {"where": shards[2]} if shards[2] else {}
    source = open_data(shards[0], split=shards[1], **where)
    if suite == "labels":
        return labels_report(model, pairs_set(source), count=count, batch_size=batch_size)
    return full_report(model, JUDGED_SETS[suite](source, count=count), batch_size=batch_size)


def full_report(model: UniTok, judged_set: JudgedSet, *, batch_size: int = 128) -> Report:
    """Measures reconstructions, captions and drawings on a judged set."""
    count = Report({"pictures": len(judged_set.images)})
    tokenizer = measure_tokenizer(model, judged_set, batch_size=batch_size)
    return count | tokenizer | measure(model, judged_set, batch_size=batch_size)


def shapes_report(model: UniTok, *, canvas: int, scenes: int = SCENES, batch_size: int = 128) -> Report:
    """Full report on unseen scenes of the shapes world; captions and drawings of held-out compositions."""
    seen = shapes_set(canvas=canvas, count=scenes)
    held_out = shapes_set(canvas=canvas, count=scenes, held_out=True)
    return full_report(model, seen, batch_size=batch_size) | measure(
        model, held_out, prefix="heldout_", batch_size=batch_size
    )


def _canvas(model: UniTok) -> int:
    """Side of the scenes in pixels: the model's image size, or 64 if it draws any size."""
    image = model.codec.image
    return image.shape[0] * image.tokenizer.cell if image.shape else 64
