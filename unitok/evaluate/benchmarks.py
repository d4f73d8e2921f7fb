"""Runs a model on the files of public benchmarks. Knows only a model's public calls.

A prompt is the document (image, question); the greedy answer is scored.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from PIL import Image

from unitok.api.contact_sheet import sheet, side_by_side
from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.evaluate import benchmark_files
from unitok.evaluate.image_index import ImageIndex
from unitok.evaluate.metrics.captioning import caption_scores
from unitok.evaluate.metrics.chair import Synonyms, chair
from unitok.evaluate.metrics.grounding import Box as Edges
from unitok.evaluate.metrics.grounding import grounding_scores, iou
from unitok.evaluate.metrics.pope import pope, says_yes
from unitok.evaluate.metrics.vqa import vqa_accuracy
from unitok.evaluate.report import MAX_SHOWN, Report
from unitok.modalities.geometry import Box, parse_boxes

Collection = TypeVar("Collection", bound=Sized)
MAX_ANSWER = 16  # ids
YES_NO = ("yes", "no")


@dataclass(frozen=True)
class Benchmark(ABC):
    """A benchmark's files, and the scoring of a model's answers.

    Args:
        file: questions, expressions, captions or instances; see each benchmark.
        images: folder of the images, or of tar shards of them.
        annotations: second file of a benchmark that has one.
        words: CHAIR's synonyms.txt.
        template: text of a prompt, with {} for the question.
        count: number of questions or images; None for all.
    """

    file: str
    images: str
    annotations: str | None = None
    words: str | None = None
    template: str = "{}"
    count: int | None = None

    needs_annotations: ClassVar[bool] = False
    unread: ClassVar[tuple[str, ...]] = ()
    """Arguments that a benchmark does not use."""

    def __post_init__(self):
        if unused := [name for name in self.unread if getattr(self, name) != getattr(Benchmark, name)]:
            raise ValueError(f"{type(self).__name__} does not read {', '.join(unused)}: leave it out")
        if self.needs_annotations and self.annotations is None:
            raise ValueError(f"{type(self).__name__} reads two files: give the second as --annotations")
        if "{}" not in self.template:
            raise ValueError(f"template must have {{}} for the question, got {self.template!r}")

    def require_any(self, items: Collection) -> Collection:
        """Returns the items read from the file. Raises ValueError if there are none."""
        if not items:
            raise ValueError(f"{self.file}: nothing in it for {type(self).__name__}")
        return items

    @abstractmethod
    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
        """Returns the figures, and a contact sheet of images with right and wrong answers."""

    @cached_property
    def image_index(self) -> ImageIndex:
        """The images by name."""
        return ImageIndex(self.images)

    def prompt(self, image: str, question: str) -> Document:
        """The document whose next segment is the answer."""
        text = Segment("text", self.template.replace("{}", question))
        return Segment("image", self.image_index[image]), text


class Pope(Benchmark):
    """POPE's questions (JSON lines): scores of the generated answers, and of the likelier of yes and no."""

    unread = ("annotations", "words")

    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
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


class Vqa(Benchmark):
    """VQA v2's questions and annotations (JSON): soft accuracy."""

    needs_annotations = True
    unread = ("words",)

    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
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


class RefCoco(Benchmark):
    """Referring expressions: RefCOCO's refs with instances.json as annotations, or JSON lines with boxes.

    Expressions without a box are skipped. A model with boxes answers with a box; of another model's text, the
    first box in it counts. Boxes refer to the crop that the model sees, and are mapped to the whole image.
    """

    unread = ("words",)

    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
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

    def _read_refs(self, path: str) -> list[benchmark_files.Expression]:
        return benchmark_files.read_refs(path, self.annotations)


class Captioning(Benchmark):
    """COCO captions (JSON): BLEU, ROUGE-L and CIDEr-D of the model's captions."""

    unread = ("annotations", "words", "template")

    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
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


class ChairCaptions(Benchmark):
    """COCO instances (JSON), with COCO captions as annotations: objects hallucinated in the model's captions.

    Objects named by human captions count as present. Without `words`, captions are searched only for the
    categories' own names.
    """

    unread = ("template",)

    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
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


BENCHMARKS: dict[str, type[Benchmark]] = {
    "pope": Pope,
    "vqa": Vqa,
    "refcoco": RefCoco,
    "caption": Captioning,
    "chair": ChairCaptions,
}
"""Benchmarks by the name of their suite."""


# ---- generation


def generate_answers(model: UniTok, prompts: Sequence[Document], *, batch_size: int) -> list[str]:
    """The greedy text after each prompt."""
    return _generate(model, prompts, target="text", batch_size=batch_size)


def generate_boxes(model: UniTok, prompts: Sequence[Document], *, batch_size: int) -> list[Box | None]:
    """The greedy box after each prompt; from a model without boxes, the first box in its text, or None."""
    if "box" in model.codec.modalities:
        return _generate(model, prompts, target="box", batch_size=batch_size)
    parsed = [parse_boxes(text) for text in generate_answers(model, prompts, batch_size=batch_size)]
    return [boxes[0] if boxes else None for boxes in parsed]


def choose_likeliest(
    model: UniTok, prompts: Sequence[Document], texts: Sequence[str], *, batch_size: int
) -> list[str]:
    """The most likely of several texts after each prompt."""
    documents = [(*prompt, Segment("text", text)) for prompt in prompts for text in texts]
    scores = iter(model.score(documents, batch_size=batch_size))
    return [max((next(scores).log_probability, text) for text in texts)[1] for _ in prompts]


def _generate(model: UniTok, prompts: Sequence[Document], *, target: str, batch_size: int) -> list[Any]:
    documents = model.generate(
        prompts,
        target=target,
        temperature=0.0,
        guidance_scale=1.0,
        max_new_tokens=MAX_ANSWER,
        batch_size=batch_size,
    )
    return [document[-1].content for document in documents]


def _to_image_pixels(
    model: UniTok, box: Box, image: Image.Image, expression: benchmark_files.Expression
) -> Edges:
    """Maps a box from the crop that the model sees to pixels of the expression's image."""
    modality = model.codec.image
    left, top, right, bottom = modality.crop_edges(image)
    x0, y0, x1, y1 = box.pixels(right - left, bottom - top)
    x_scale, y_scale = expression.width / image.width, expression.height / image.height
    return (left + x0) * x_scale, (top + y0) * y_scale, (left + x1) * x_scale, (top + y1) * y_scale


def answers_sheet(
    prompts: Sequence[Document], answers: Sequence[str], right: Sequence[bool], **layout: int
) -> Image.Image:
    """Contact sheet of images with questions and answers, right answers in green and wrong ones in red;
    `layout` as of `sheet`."""
    shown = list(zip(prompts, answers, right, strict=True))[:MAX_SHOWN]
    return sheet(
        [side_by_side([s.content for s in prompt if s.modality == "image"]) for prompt, _, _ in shown],
        [" ".join([*_texts(prompt), text]) for prompt, text, _ in shown],
        marks=[mark for _, _, mark in shown],
        **layout,
    )


def _texts(document: Document) -> list[str]:
    return [segment.content for segment in document if segment.modality == "text"]


def prefix_names(prefix: str, scores: Any) -> dict[str, float]:
    """Fields of a NamedTuple by their names, with a prefix."""
    return {f"{prefix}_{name}": value for name, value in scores._asdict().items()}


def open_benchmark(
    suite: str,
    *,
    file: str | Path | None = None,
    images: str | Path | None = None,
    **options: Any,
) -> Benchmark:
    """The benchmark of a suite. Raises ValueError if its file or its images are not given."""
    for flag, value in (("--file", file), ("--images", images)):
        if value is None:
            raise ValueError(f"suite {suite} reads a benchmark's own files: give {flag}")
    return BENCHMARKS[suite](file=str(file), images=str(images), **options)
