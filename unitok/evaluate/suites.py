"""Suites: what is measured together on each kind of data. Knows no training."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from unitok.api.arguments import as_int
from unitok.api.unitok import UniTok
from unitok.data.readers.question_shards import QuestionShards, StatementShards
from unitok.data.readers.webdataset import WebDataset
from unitok.data.sources import open_data
from unitok.evaluate.benchmarks import BENCHMARKS, benchmark
from unitok.evaluate.classification import labels_report
from unitok.evaluate.judged_sets import easy_vqa_set, pairs_set, shapes_set
from unitok.evaluate.nlvr_steps import boxes_report
from unitok.evaluate.question_shards import questions_report, statements_report
from unitok.evaluate.report import JudgedSet, Report, measure, measure_tokenizer
from unitok.evaluate.shapes_hallucination import hallucination_report
from unitok.evaluate.shapes_tasks import tasks_report
from unitok.worlds.nlvr.source import NlvrBoxes
from unitok.worlds.shapes.tasks import USUAL

FOLDERS = {"easy_vqa": easy_vqa_set, "pairs": pairs_set}
DATA = (*FOLDERS, "labels", "answers", "nlvr", "nlvr_boxes")
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
        model: who draws and captions.
        suite: "shapes", "tasks" and "hallucination" render their scenes; "easy_vqa", "pairs", "labels",
            "answers", "nlvr" and "nlvr_boxes" read the data of `path`; the others a benchmark's own files.
        path, split: see `open_data`; the suites of data alone take them, "val" where no split is given.
        where: of WebDataset; the suites of data alone take it.
        tasks: of the suite "tasks", names among shapes_tasks.TASKS; None takes the usual ones.
        count: pictures measured; None takes 500 scenes (200 of each task), or all there are.
        batch_size: pictures at once.
        files: of a benchmark, see Benchmark; its suites alone take them.

    Raises:
        ValueError: an unknown suite, a folder's without a folder, a benchmark's without its files, or a
            count or batch_size below 1, an unknown task, or what this suite would not read.
    """
    if suite not in SUITES:
        raise ValueError(f"suite is one of {', '.join(SUITES)}, not {suite!r}")
    as_int(1 if count is None else count, "count", minimum=1)
    as_int(batch_size, "batch_size", minimum=1)
    _refuse(suite, files, of=BENCHMARKS)
    _refuse(suite, {"data.path": path, "split": split, "where": where}, of=DATA)
    if tasks is not None and suite != "tasks":
        raise ValueError(f"suite {suite} has no tasks to choose, such as {', '.join(tasks)}; tasks does")
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
        return benchmark(suite, count=count, **files).measure(model, batch_size=batch_size)
    if path is None:
        raise ValueError(f"suite {suite} reads a folder of shards: give it as --data.path")
    shards = path, split or "val", dict(where or {})
    return _folder_report(model, suite, shards, count=count, batch_size=batch_size)


def _refuse(suite: str, given: Mapping[str, Any], *, of: Collection[str]) -> None:
    """Raises ValueError for what none but the suites `of` reads: the figures would be of other data."""
    named = [name for name, value in given.items() if value is not None]
    if named and suite not in of:
        raise ValueError(f"suite {suite} takes no {', '.join(named)}; {', '.join(of)} do")


def _folder_report(
    model: UniTok, suite: str, shards: tuple[str, str, dict], *, count: int | None, batch_size: int
) -> Report:
    """The suites that read a data set."""
    if suite == "nlvr":
        return statements_report(model, StatementShards(*shards), count=count, batch_size=batch_size)
    if suite == "nlvr_boxes":
        return boxes_report(model, NlvrBoxes(*shards), count=count, batch_size=batch_size)
    if suite == "answers":
        boxed = "box" in model.codec.modalities and "bbox_xyxy" in WebDataset(*shards).metadata(0)
        questions = QuestionShards(*shards, boxes=boxed)
        return questions_report(model, questions, count=count, batch_size=batch_size)
    where = {"where": shards[2]} if shards[2] else {}
    source = open_data(shards[0], split=shards[1], **where)
    if suite == "labels":
        return labels_report(model, pairs_set(source), count=count, batch_size=batch_size)
    return world_report(model, FOLDERS[suite](source, count=count), batch_size=batch_size)


def world_report(model: UniTok, world: JudgedSet, *, batch_size: int = 128) -> Report:
    """Reconstructions, captions and drawings of one world."""
    count = Report({"pictures": len(world.pictures)})
    tokenizer = measure_tokenizer(model, world, batch_size=batch_size)
    return count | tokenizer | measure(model, world, batch_size=batch_size)


def shapes_report(model: UniTok, *, canvas: int, scenes: int = SCENES, batch_size: int = 128) -> Report:
    """The same of unseen scenes of the built-in world, and captions and drawings of held-out compositions."""
    seen = shapes_set(canvas=canvas, count=scenes)
    held_out = shapes_set(canvas=canvas, count=scenes, held_out=True)
    return world_report(model, seen, batch_size=batch_size) | measure(
        model, held_out, prefix="heldout_", batch_size=batch_size
    )


def _canvas(model: UniTok) -> int:
    """Pixels a side of the scenes: the model's own, or 64 where it draws any size."""
    image = model.codec.modalities["image"]
    return image.shape[0] * image.tokenizer.cell if image.shape else 64
