"""Accuracy on questions and statements in shards. Knows only a model's public calls."""

from collections.abc import Sequence

from unitok.api.unitok import UniTok
from unitok.data.readers.question_shards import QuestionShards, StatementShards
from unitok.data.readers.webdataset import WebDataset
from unitok.document import Document
from unitok.evaluate.answers import answers_sheet, choose_likeliest, generate_answers, generate_boxes
from unitok.evaluate.metrics.grounding import grounding_scores
from unitok.evaluate.metrics.true_false import statement_figures
from unitok.evaluate.report import Report
from unitok.evaluate.suites import DataSuite, register


def questions_report(
    model: UniTok, source: QuestionShards, *, count: int | None = None, batch_size: int = 128
) -> Report:
    """Exact-match accuracy of answers to questions and of names of boxed objects, and scores of boxes."""
    documents = [source[i] for i in range(min(len(source), count or len(source)))]
    box_answers = [document for document in documents if document[-1].modality == "box"]
    text_answers = [document for document in documents if document[-1].modality == "text"]
    names = [document for document in text_answers if any(s.modality == "box" for s in document)]
    questions = [document for document in text_answers if all(s.modality != "box" for s in document)]
    report = Report({"questions": len(documents)})
    report |= _text_report(model, questions, "answer", batch_size=batch_size)
    report |= _text_report(model, names, "name", batch_size=batch_size)
    return report | _box_report(model, box_answers, batch_size=batch_size)


def _text_report(model: UniTok, documents: Sequence[Document], name: str, *, batch_size: int) -> Report:
    if not documents:
        return Report()
    prompts = [document[:-1] for document in documents]
    answers = generate_answers(model, prompts, batch_size=batch_size)
    right = [text == document[-1].content for text, document in zip(answers, documents, strict=True)]
    accuracy = sum(right) / len(right)
    return Report({f"{name}_accuracy": accuracy}, {f"{name}s": answers_sheet(prompts, answers, right)})


def _box_report(model: UniTok, documents: Sequence[Document], *, batch_size: int) -> Report:
    if not documents:
        return Report()
    prompts = [document[:-1] for document in documents]
    answers = generate_boxes(model, prompts, batch_size=batch_size)
    boxes = [None if box is None else box.numbers for box in answers]
    truth = [document[-1].content.numbers for document in documents]
    scores = grounding_scores(boxes, truth)
    right = [grounding_scores([box], [true]).accuracy == 1 for box, true in zip(boxes, truth, strict=True)]
    return Report(
        {"box_accuracy": scores.accuracy, "box_mean_iou": scores.mean_iou},
        {"boxes": answers_sheet(prompts, [_format_box(box) for box in boxes], right)},
    )


def _format_box(box: tuple[float, ...] | None) -> str:
    return "no box" if box is None else " ".join(f"{value:.0%}" for value in box)


def statements_report(
    model: UniTok, source: StatementShards, *, count: int | None = None, batch_size: int = 128
) -> Report:
    """Accuracy and consistency of the likelier verdict, and the majority verdict's share."""
    indices = range(min(len(source), count or len(source)))
    prompts = [source[i][:-1] for i in indices]
    truth = [source.truth(i) for i in indices]
    verdicts = choose_likeliest(model, prompts, source.verdicts, batch_size=batch_size)
    predictions = [text == source.verdicts[0] for text in verdicts]
    figures = statement_figures(predictions, truth, [source.sentence(i) for i in indices])
    right = [a == b for a, b in zip(predictions, truth, strict=True)]
    return Report(figures, {"nlvr": answers_sheet(prompts, verdicts, right)})


@register(
    "answers",
    measures={"answer_accuracy": "questions", "name_accuracy": "questions", "box_*": "boxes"},
    counted="questions",
)
class Answers(DataSuite):
    """Questions in shards, with boxes if both the model and the data have them."""

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        shards = self.path, self.split, self.where
        boxes = "box" in model.codec.modalities and "bbox_xyxy" in WebDataset(*shards).metadata(0)
        questions = QuestionShards(*shards, boxes=boxes)
        return questions_report(model, questions, count=self.count, batch_size=batch_size)

    def never_learned(self, model: UniTok) -> str | None:
        return model.unlearned("questions", "boxes")  # few data sets have both


@register("nlvr", measures={"nlvr_accuracy": "questions"}, counted="statements")
class Statements(DataSuite):
    """Statements in shards, judged true or false."""

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        statements = StatementShards(self.path, self.split, self.where)
        return statements_report(model, statements, count=self.count, batch_size=batch_size)
