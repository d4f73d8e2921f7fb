"""NLVR's statements judged step by step, as in the lessons. Knows only a model's public calls."""

from collections.abc import Sequence

from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.evaluate.answers import answers_sheet
from unitok.evaluate.metrics.true_false import statement_figures
from unitok.evaluate.report import Report
from unitok.evaluate.suites import DataSuite, register
from unitok.worlds.nlvr.boxes import describe, is_tower, parse_box
from unitok.worlds.nlvr.source import NlvrBoxes

MAX_DESCRIPTION, MAX_REASON = 48, 32
"""Ids of a box's description, and of the reason drawn from it."""
LAYOUT = {"columns": 4, "side": 272}


def boxes_report(
    model: UniTok, source: NlvrBoxes, *, count: int | None = None, batch_size: int = 128
) -> Report:
    """Accuracy and consistency of the verdicts, the majority verdict's share, and the share of boxes that the
    model describes to the letter, of all and of those whose things are scattered."""
    indices = range(min(len(source), count or len(source)))
    inputs = [source.inputs(i) for i in indices]
    documents = reason_step_by_step(model, inputs, batch_size=batch_size)
    truth, predictions = [source.truth(i) for i in indices], [verdict_of(document) for document in documents]
    figures = statement_figures(predictions, truth, [source.sentence(i) for i in indices])
    figures |= description_accuracy(inputs, documents)
    right = [a == b for a, b in zip(predictions, truth, strict=True)]
    prompts = [(document[0], *document[1:-1:3]) for document in documents]
    return Report(figures, {"nlvr": answers_sheet(prompts, [*map(_reasons, documents)], right, **LAYOUT)})


def reason_step_by_step(
    model: UniTok, inputs: Sequence[tuple[str, Sequence]], *, batch_size: int
) -> list[Document]:
    """Continues sentences with their boxes: a description and a reason after each box, then the verdict."""
    documents: list[Document] = [(Segment("text", sentence),) for sentence, _ in inputs]
    for number in range(3):
        images = [Segment("image", boxes[number]) for _, boxes in inputs]
        documents = [(*document, image) for document, image in zip(documents, images, strict=True)]
        for max_ids in (MAX_DESCRIPTION, MAX_REASON):
            documents = _continue(model, documents, max_ids=max_ids, batch_size=batch_size)
    return _continue(model, documents, max_ids=MAX_REASON, batch_size=batch_size)


def _continue(
    model: UniTok, documents: Sequence[Document], *, max_ids: int, batch_size: int
) -> list[Document]:
    options = {"temperature": 0.0, "guidance_scale": 1.0, "max_new_tokens": max_ids}
    return model.generate(documents, target="text", batch_size=batch_size, **options)


def verdict_of(document: Document) -> bool:
    """Whether the last word of a document is "yes"."""
    return document[-1].content.split()[-1:] == ["yes"]


def _reasons(document: Document) -> str:
    """The reasons after each box, and the verdict."""
    *reasons, verdict = [segment.content for segment in (*document[3:-1:3], document[-1])]
    return f"[{' | '.join(reasons)}] {verdict}"


def description_accuracy(
    inputs: Sequence[tuple[str, Sequence]], documents: Sequence[Document]
) -> dict[str, float]:
    """The shares of boxes whose description is right, where there are some."""
    read: dict[str, list[bool]] = {"boxes_read": [], "scattered_boxes_read": []}
    for (_, images), document in zip(inputs, documents, strict=True):
        for image, description in zip(images, document[2:-1:3], strict=True):
            box = parse_box(image)
            read["boxes_read"].append(description.content == describe(box))
            if not is_tower(box):
                read["scattered_boxes_read"].append(read["boxes_read"][-1])
    return {name: sum(right) / len(right) for name, right in read.items() if right}


@register(
    "nlvr_boxes", measures={"nlvr_accuracy": "questions", "boxes_read": "questions"}, counted="statements"
)
class StatementsByBox(DataSuite):
    """NLVR's own images: the model reads each box before it judges the statement."""

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        source = NlvrBoxes(self.path, self.split, self.where)
        return boxes_report(model, source, count=self.count, batch_size=batch_size)
