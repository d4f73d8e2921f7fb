"""Runs a model on the files of public benchmarks. Knows a model's public calls alone.

A question is put as the document (picture, text), and the likeliest answer is taken.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from PIL import Image

from unitok.api.unitok import UniTok
from unitok.contact_sheet import sheet, side_by_side
from unitok.document import Document, Segment
from unitok.evaluate import benchmark_files
from unitok.evaluate.image_index import NamedPictures
from unitok.evaluate.metrics.captioning import caption_scores
from unitok.evaluate.metrics.chair import Words, chair
from unitok.evaluate.metrics.grounding import Box as Edges
from unitok.evaluate.metrics.grounding import grounded, iou
from unitok.evaluate.metrics.pope import pope, says_yes
from unitok.evaluate.metrics.vqa import vqa_accuracy
from unitok.evaluate.report import SHOWN, Report
from unitok.modalities.geometry import Box, parse_boxes
from unitok.modalities.image import ImageModality

Kind = TypeVar("Kind", bound=Sized)
LONGEST_ANSWER = 16  # ids
YES_NO = ("yes", "no")


@dataclass(frozen=True)
class Benchmark(ABC):
    """A benchmark's files, and how a model's answers count.

    Args:
        file: what is asked; see each benchmark.
        images: folder of the pictures, or of tar shards of them.
        annotations: a second file, where a benchmark has one.
        words: CHAIR's synonyms.txt.
        template: the text that asks, with {} for the question.
        count: how many questions or pictures; None for all.
    """

    file: str
    images: str
    annotations: str | None = None
    words: str | None = None
    template: str = "{}"
    count: int | None = None

    needs_annotations: ClassVar[bool] = False
    unread: ClassVar[tuple[str, ...]] = ()
    """Which of its arguments a benchmark has no use for."""

    def __post_init__(self):
        if useless := [name for name in self.unread if getattr(self, name) != getattr(Benchmark, name)]:
            raise ValueError(f"{type(self).__name__} reads no {', '.join(useless)}: leave it out")
        if self.needs_annotations and self.annotations is None:
            raise ValueError(f"{type(self).__name__} reads two files: give the second as --annotations")
        if "{}" not in self.template:
            raise ValueError(f"a template has {{}} for the question, not {self.template!r}")

    def some(self, found: Kind) -> Kind:
        """What is asked. Raises ValueError where nothing is."""
        if not found:
            raise ValueError(f"{self.file}: {type(self).__name__} finds nothing to ask in it")
        return found

    @abstractmethod
    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
        """The figures, and a page of pictures with right and wrong answers."""

    @cached_property
    def pictures(self) -> NamedPictures:
        """The pictures by name."""
        return NamedPictures(self.images)

    def prompt(self, picture: str, question: str) -> Document:
        """The document whose next segment is the answer."""
        asked = Segment("text", self.template.replace("{}", question))
        return Segment("image", self.pictures[picture]), asked


class Pope(Benchmark):
    """POPE's questions (JSON lines): figures of what is written, and of which of yes and no is likelier."""

    unread = ("annotations", "words")

    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
        questions = self.some(benchmark_files.read_pope(self.file))[: self.count]
        prompts = [self.prompt(question.picture, question.text) for question in questions]
        truth = [question.answers == ("yes",) for question in questions]
        written = answers(model, prompts, batch_size=batch_size)
        likelier = [word == "yes" for word in choices(model, prompts, YES_NO, batch_size=batch_size)]
        said = [says_yes(text) for text in written]
        figures = {"questions": len(questions)} | named("pope", pope(said, truth))
        figures |= named("pope_likelihood", pope(likelier, truth))
        right = [a == b for a, b in zip(said, truth, strict=True)]
        return Report(figures, {"pope": page(prompts, written, right)})


class Vqa(Benchmark):
    """VQA v2's questions and annotations (JSON): soft accuracy."""

    needs_annotations = True
    unread = ("words",)

    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
        questions = self.some(benchmark_files.read_vqa(self.file, self.annotations))[: self.count]
        prompts = [self.prompt(question.picture, question.text) for question in questions]
        written = answers(model, prompts, batch_size=batch_size)
        scores = [vqa_accuracy(text, q.answers) for text, q in zip(written, questions, strict=True)]
        by_kind: dict[str, list[float]] = {"vqa_accuracy": scores}
        for question, score in zip(questions, scores, strict=True):
            if question.kind:
                by_kind.setdefault(f"vqa_accuracy_{question.kind}", []).append(score)
        return Report(
            {"questions": len(questions)} | {name: sum(each) / len(each) for name, each in by_kind.items()},
            {"vqa": page(prompts, written, [score > 0.5 for score in scores])},
        )


class RefCoco(Benchmark):
    """Referring expressions: RefCOCO's refs with instances.json as annotations, or JSON lines with boxes.

    Expressions of nothing are left out. A model with boxes answers with one; another writes it as text, of
    which the first box counts. Boxes are of what the model sees, and laid back into the whole picture.
    """

    unread = ("words",)

    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
        read = benchmark_files.read_expressions if self.annotations is None else self._refs
        expressions = self.some([one for one in read(self.file) if one.box is not None])[: self.count]
        prompts = [self.prompt(one.picture, one.text) for one in expressions]
        found = boxes(model, prompts, batch_size=batch_size)
        edges = [
            None if box is None else _laid_back(model, box, prompt[0].content, one)
            for box, prompt, one in zip(found, prompts, expressions, strict=True)
        ]
        truth = [one.box for one in expressions]
        right = [a is not None and iou(a, b) >= 0.5 for a, b in zip(edges, truth, strict=True)]
        result = grounded(edges, truth)
        return Report(
            {
                "expressions": len(expressions),
                "refcoco_accuracy": result.accuracy,
                "refcoco_mean_iou": result.mean_iou,
            },
            {"refcoco": page(prompts, [str(box) for box in found], right)},
        )

    def _refs(self, path: str) -> list[benchmark_files.Expression]:
        return benchmark_files.read_refs(path, self.annotations)


class Captioning(Benchmark):
    """COCO's captions (JSON): BLEU, ROUGE-L and CIDEr-D of the model's caption of each picture."""

    unread = ("annotations", "words", "template")

    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
        references = dict(list(self.some(benchmark_files.read_captions(self.file)).items())[: self.count])
        images = [self.pictures[name] for name in references]
        written = model.caption(images, batch_size=batch_size)
        scores = caption_scores(written, list(references.values()))
        figures = {f"bleu_{n}": value for n, value in enumerate(scores.bleu, start=1)}
        return Report(
            {"pictures": len(images)} | figures | {"rouge_l": scores.rouge_l, "cider_d": scores.cider_d},
            {"captions": sheet(images[:SHOWN], written[:SHOWN])},
        )


class ChairCaptions(Benchmark):
    """COCO's instances (JSON), and its captions as annotations: what the model's captions make up.

    What people's captions name counts as there. Without `words` objects are called by their own names alone.
    """

    unread = ("template",)

    def measure(self, model: UniTok, *, batch_size: int = 32) -> Report:
        there = self.some(benchmark_files.read_objects(self.file))
        known = Words.of(sorted(set().union(*there.values())))
        words = known if self.words is None else Words.read(self.words)
        told = {} if self.annotations is None else benchmark_files.read_captions(self.annotations)
        names = list(there)[: self.count]
        if self.annotations and (silent := [name for name in names if name not in told]):
            raise ValueError(f"{self.annotations}: no captions of {silent[0]}, which {self.file} has")
        images = [self.pictures[name] for name in names]
        written = model.caption(images, batch_size=batch_size)
        objects = [
            {words.names.get(name.lower(), name) for name in there[picture]}
            | {name for text in told.get(picture, ()) for name in words.objects(text)}
            for picture in names
        ]
        named = [words.objects(text) for text in written]
        result = chair(named, objects)
        right = [set(a) <= b for a, b in zip(named, objects, strict=True)]
        figures = {"pictures": len(images), "chair_s": result.sentences, "chair_i": result.instances}
        return Report(figures, {"chair": sheet(images[:SHOWN], written[:SHOWN], marks=right[:SHOWN])})


BENCHMARKS: dict[str, type[Benchmark]] = {
    "pope": Pope,
    "vqa": Vqa,
    "refcoco": RefCoco,
    "caption": Captioning,
    "chair": ChairCaptions,
}
"""Benchmarks by the name of their suite."""


# ---- asking


def answers(model: UniTok, prompts: Sequence[Document], *, batch_size: int) -> list[str]:
    """The likeliest text after each document, id by id."""
    return _asked(model, prompts, target="text", batch_size=batch_size)


def boxes(model: UniTok, prompts: Sequence[Document], *, batch_size: int) -> list[Box | None]:
    """A box after each document: of the model's boxes, or the first in what it writes, if any."""
    if "box" in model.codec.modalities:
        return _asked(model, prompts, target="box", batch_size=batch_size)
    written = [parse_boxes(text) for text in answers(model, prompts, batch_size=batch_size)]
    return [found[0] if found else None for found in written]


def choices(
    model: UniTok, prompts: Sequence[Document], texts: Sequence[str], *, batch_size: int
) -> list[str]:
    """Of several texts the likeliest after each document."""
    asked = [(*prompt, Segment("text", text)) for prompt in prompts for text in texts]
    scores = iter(model.score(asked, batch_size=batch_size))
    return [max((next(scores).log_probability, text) for text in texts)[1] for _ in prompts]


def _asked(model: UniTok, prompts: Sequence[Document], *, target: str, batch_size: int) -> list[Any]:
    found = model.generate(
        prompts,
        target=target,
        temperature=0.0,
        guidance_scale=1.0,
        max_new_tokens=LONGEST_ANSWER,
        batch_size=batch_size,
    )
    return [document[-1].content for document in found]


def _laid_back(
    model: UniTok, box: Box, picture: Image.Image, expression: benchmark_files.Expression
) -> Edges:
    """A box of what the model sees, in the pixels of an expression's picture."""
    modality: ImageModality = model.codec.modalities["image"]
    left, top, right, bottom = modality.crop_edges(picture)
    x0, y0, x1, y1 = box.pixels(right - left, bottom - top)
    across, down = expression.width / picture.width, expression.height / picture.height
    return (left + x0) * across, (top + y0) * down, (left + x1) * across, (top + y1) * down


def page(
    prompts: Sequence[Document], written: Sequence[str], right: Sequence[bool], **layout: int
) -> Image.Image:
    """Pictures with questions and answers under them, the right answers in green and the wrong in red;
    `layout` as of `sheet`."""
    shown = list(zip(prompts, written, right, strict=True))[:SHOWN]
    return sheet(
        [side_by_side([s.content for s in prompt if s.modality == "image"]) for prompt, _, _ in shown],
        [" ".join([*_texts(prompt), text]) for prompt, text, _ in shown],
        marks=[mark for _, _, mark in shown],
        **layout,
    )


def _texts(document: Document) -> list[str]:
    return [segment.content for segment in document if segment.modality == "text"]


def named(prefix: str, figures: Any) -> dict[str, float]:
    """Figures of a NamedTuple by their names, after a prefix."""
    return {f"{prefix}_{name}": value for name, value in figures._asdict().items()}


def benchmark(
    suite: str,
    *,
    file: str | Path | None = None,
    images: str | Path | None = None,
    **options: Any,
) -> Benchmark:
    """The benchmark of a suite's name. Raises ValueError where its file or its pictures are not given."""
    for flag, value in (("--file", file), ("--images", images)):
        if value is None:
            raise ValueError(f"suite {suite} reads a benchmark's own files: give {flag}")
    return BENCHMARKS[suite](file=str(file), images=str(images), **options)
