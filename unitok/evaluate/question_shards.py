"""Accuracy on questions and statements in shards. Knows a model's public calls alone."""

from collections.abc import Sequence

from unitok.api.unitok import UniTok
from unitok.data.readers.question_shards import QuestionShards, StatementShards
from unitok.document import Document
from unitok.evaluate.benchmarks import answers, boxes, choices, page
from unitok.evaluate.metrics.grounding import grounded
from unitok.evaluate.metrics.true_false import statement_figures
from unitok.evaluate.report import Report


def questions_report(
    model: UniTok, source: QuestionShards, *, count: int | None = None, batch_size: int = 128
) -> Report:
    """Shares of answers right to the letter: of questions, and of what a box holds; boxes by their IoU."""
    documents = [source[i] for i in range(min(len(source), count or len(source)))]
    boxed = [document for document in documents if document[-1].modality == "box"]
    worded = [document for document in documents if document[-1].modality == "text"]
    names = [document for document in worded if any(s.modality == "box" for s in document)]
    asked = [document for document in worded if all(s.modality != "box" for s in document)]
    report = Report({"questions": len(documents)})
    report |= _words(model, asked, "answer", batch_size=batch_size)
    report |= _words(model, names, "name", batch_size=batch_size)
    return report | _boxes(model, boxed, batch_size=batch_size)


def _words(model: UniTok, documents: Sequence[Document], name: str, *, batch_size: int) -> Report:
    if not documents:
        return Report()
    prompts = [document[:-1] for document in documents]
    written = answers(model, prompts, batch_size=batch_size)
    right = [text == document[-1].content for text, document in zip(written, documents, strict=True)]
    return Report({f"{name}_accuracy": sum(right) / len(right)}, {f"{name}s": page(prompts, written, right)})


def _boxes(model: UniTok, documents: Sequence[Document], *, batch_size: int) -> Report:
    if not documents:
        return Report()
    prompts = [document[:-1] for document in documents]
    found = [None if box is None else box.numbers for box in boxes(model, prompts, batch_size=batch_size)]
    truth = [document[-1].content.numbers for document in documents]
    each = [grounded([box], [true]) for box, true in zip(found, truth, strict=True)]
    result = grounded(found, truth)
    return Report(
        {"box_accuracy": result.accuracy, "box_mean_iou": result.mean_iou},
        {"boxes": page(prompts, [_percent(box) for box in found], [one.accuracy == 1 for one in each])},
    )


def _percent(box: tuple[float, ...] | None) -> str:
    return "no box" if box is None else " ".join(f"{value:.0%}" for value in box)


def statements_report(
    model: UniTok, source: StatementShards, *, count: int | None = None, batch_size: int = 128
) -> Report:
    """Accuracy and consistency of the likelier of the two verdicts, beside the more frequent's share."""
    indices = range(min(len(source), count or len(source)))
    prompts = [source[i][:-1] for i in indices]
    truth = [source.truth(i) for i in indices]
    written = choices(model, prompts, source.verdicts, batch_size=batch_size)
    said = [text == source.verdicts[0] for text in written]
    figures = statement_figures(said, truth, [source.sentence(i) for i in indices])
    right = [a == b for a, b in zip(said, truth, strict=True)]
    return Report(figures, {"nlvr": page(prompts, written, right)})
