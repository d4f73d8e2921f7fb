"""Runs a model on the files of public benchmarks. Knows only a model's public calls.

A prompt is the document (image, question); the greedy answer is scored.
"""

from collections.abc import Sized
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from PIL import Image

from unitok.api.contact_sheet import sheet
from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.evaluate import benchmark_files
from unitok.evaluate.answers import (
    YES_NO,
    answers_sheet,
    choose_likeliest,
    generate_answers,
    generate_boxes,
    prefix_names,
)
from unitok.evaluate.image_index import ImageIndex
from unitok.evaluate.metrics.captioning import caption_scores
from unitok.evaluate.metrics.chair import Synonyms, chair
from unitok.evaluate.metrics.grounding import Box as Edges
from unitok.evaluate.metrics.grounding import grounding_scores, iou
from unitok.evaluate.metrics.pope import pope, says_yes
from unitok.evaluate.metrics.vqa import vqa_accuracy
from unitok.evaluate.report import MAX_SHOWN, Report
from unitok.evaluate.suites import Suite, register
from unitok.modalities.geometry import Box

Collection = TypeVar("Collection", bound=Sized)


@dataclass(frozen=True, kw_only=True)
class Benchmark(Suite):
    """A benchmark's files, and the scoring of a model's answers.

    Args:
        file: questions, expressions, captions or instances; see each benchmark.
        images: folder of the images, or of tar shards of them.
    """

    file: str | Path
    images: str | Path

    reads = "a benchmark's own files"

    def require_any(self, items: Collection) -> Collection:
        """Returns the items read from the file. Raises ValueError if there are none."""
        if not items:
            raise ValueError(f"{self.file}: nothing in it for {type(self).__name__}")
        return items

    @cached_property
    def image_index(self) -> ImageIndex:
        """The images by name."""
        return ImageIndex(self.images)


@dataclass(frozen=True, kw_only=True)
class Questions(Benchmark):
    """A benchmark whose file has a question for each prompt.

    Args:
        template: text of a prompt, with {} for the question.
    """

    template: str = "{}"

    def __post_init__(self):
        super().__post_init__()
        if "{}" not in self.template:
            raise ValueError(f"template must have {{}} for the question, got {self.template!r}")

    def prompt(self, image: str, question: str) -> Document:
        """The document whose next segment is the answer."""
        text = Segment("text", self.template.replace("{}", question))
        return Segment("image", self.image_index[image]), text


@register("pope", measures={"pope_accuracy": "questions", "pope_f1": "questions"}, counted="questions")
class Pope(Questions):
    """POPE's questions (JSON lines): scores of the generated answers, and of the likelier of yes and no."""

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        questions = self.require_any(benchmark_files.read_pope(self.file))[: self.count]
        prompts = [self.prompt(question.image, question.text) for question in questions]
        truth = [question.answers == ("yes",) for question in questions]
        answers = generate_answers(model, prompts, batch_size=batch_size)
        likelier = [word == "yes" for word in choose_likeliest(model, prompts, YES_NO, batch_size=batch_size)]
        predictions = [says_yes(text) for text in answers]
        figures = {"questions": len(questions)} | prefix_names("pope", pope(predictions, truth))
        figures |= prefix_names("pope_likelihood", pope(likelier, truth))
        right = [a == b for a, b in zip(predictions, truth, strict=True)]
        return Report(figures, {"pope": answers_sheet(prompts, answers, right)})


@register("vqa", measures={"vqa_accuracy": "questions"}, counted="questions")
class Vqa(Questions):
    """VQA v2's questions and annotations (JSON): soft accuracy."""

    annotations: str | Path

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        questions = self.require_any(benchmark_files.read_vqa(self.file, self.annotations))[: self.count]
        prompts = [self.prompt(question.image, question.text) for question in questions]
        answers = generate_answers(model, prompts, batch_size=batch_size)
        scores = [vqa_accuracy(text, q.answers) for text, q in zip(answers, questions, strict=True)]
        by_kind: dict[str, list[float]] = {"vqa_accuracy": scores}
        for question, score in zip(questions, scores, strict=True):
            if question.kind:
                by_kind.setdefault(f"vqa_accuracy_{question.kind}", []).append(score)
        means = {name: sum(values) / len(values) for name, values in by_kind.items()}
        return Report(
            {"questions": len(questions)} | means,
            {"vqa": answers_sheet(prompts, answers, [score > 0.5 for score in scores])},
        )


@register("refcoco", measures={"refcoco_*": "boxes"}, counted="expressions")
class RefCoco(Questions):
    """Referring expressions: RefCOCO's refs with instances.json as annotations, or JSON lines with boxes.

    Expressions without a box are skipped. A model with boxes answers with a box; of another model's text, the
    first box in it counts. Boxes refer to the crop that the model sees, and are mapped to the whole image.
    """

    annotations: str | Path | None = None

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        read = benchmark_files.read_expressions if self.annotations is None else self._read_refs
        expressions = [expression for expression in read(self.file) if expression.box is not None]
        expressions = self.require_any(expressions)[: self.count]
        prompts = [self.prompt(expression.image, expression.text) for expression in expressions]
        answers = generate_boxes(model, prompts, batch_size=batch_size)
        boxes = [
            None if box is None else _to_image_pixels(model, box, prompt[0].content, expression)
            for box, prompt, expression in zip(answers, prompts, expressions, strict=True)
        ]
        truth = [expression.box for expression in expressions]
        right = [a is not None and iou(a, b) >= 0.5 for a, b in zip(boxes, truth, strict=True)]
        scores = grounding_scores(boxes, truth)
        return Report(
            {
                "expressions": len(expressions),
                "refcoco_accuracy": scores.accuracy,
                "refcoco_mean_iou": scores.mean_iou,
            },
            {"refcoco": answers_sheet(prompts, [str(box) for box in answers], right)},
        )

    def _read_refs(self, path: str | Path) -> list[benchmark_files.Expression]:
        return benchmark_files.read_refs(path, self.annotations)


@register("caption", measures={"bleu_4": "captions", "cider_d": "captions"})
class Captioning(Benchmark):
    """COCO captions (JSON): BLEU, ROUGE-L and CIDEr-D of the model's captions."""

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        references = self.require_any(benchmark_files.read_captions(self.file))
        references = dict(list(references.items())[: self.count])
        images = [self.image_index[name] for name in references]
        captions = model.caption(images, batch_size=batch_size)
        scores = caption_scores(captions, list(references.values()))
        figures = {f"bleu_{n}": value for n, value in enumerate(scores.bleu, start=1)}
        return Report(
            {"pictures": len(images)} | figures | {"rouge_l": scores.rouge_l, "cider_d": scores.cider_d},
            {"captions": sheet(images[:MAX_SHOWN], captions[:MAX_SHOWN])},
        )


@register("chair", measures={"chair_?": "captions"})
class ChairCaptions(Benchmark):
    """COCO instances (JSON), with COCO captions as annotations: objects hallucinated in the model's captions.

    Objects named by human captions count as present. Without `words`, which is CHAIR's synonyms.txt, captions
    are searched only for the categories' own names.
    """

    annotations: str | Path | None = None
    words: str | Path | None = None

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        instances = self.require_any(benchmark_files.read_objects(self.file))
        if self.words is None:
            synonyms = Synonyms.of(sorted(set().union(*instances.values())))
        else:
            synonyms = Synonyms.read(self.words)
        references = {} if self.annotations is None else benchmark_files.read_captions(self.annotations)
        names = list(instances)[: self.count]
        if self.annotations and (missing := [name for name in names if name not in references]):
            raise ValueError(f"{self.annotations}: no captions of {missing[0]}, which {self.file} has")
        images = [self.image_index[name] for name in names]
        captions = model.caption(images, batch_size=batch_size)
        present = [
            {synonyms.names.get(category.lower(), category) for category in instances[name]}
            | {item for text in references.get(name, ()) for item in synonyms.objects(text)}
            for name in names
        ]
        mentioned = [synonyms.objects(text) for text in captions]
        scores = chair(mentioned, present)
        right = [set(a) <= b for a, b in zip(mentioned, present, strict=True)]
        return Report(
            {"pictures": len(images), "chair_s": scores.sentences, "chair_i": scores.instances},
            {"chair": sheet(images[:MAX_SHOWN], captions[:MAX_SHOWN], marks=right[:MAX_SHOWN])},
        )


def _to_image_pixels(
    model: UniTok, box: Box, image: Image.Image, expression: benchmark_files.Expression
) -> Edges:
    """Maps a box from the crop that the model sees to pixels of the expression's image."""
    left, top, right, bottom = model.codec.crop_edges(image)
    x0, y0, x1, y1 = box.pixels(right - left, bottom - top)
    x_scale, y_scale = expression.width / image.width, expression.height / image.height
    return (left + x0) * x_scale, (top + y0) * y_scale, (left + x1) * x_scale, (top + y1) * y_scale
