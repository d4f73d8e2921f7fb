"""Hallucination in the shapes world, by POPE and CHAIR. Knows only a model's public calls.

Questions are those of the task "exist": half name an object in the image. Of the absent objects, half share a
shape or colour with an object in the image, like POPE's adversarial questions, which name co-occurring ones.
"""

from collections.abc import Sequence

from unitok.api.contact_sheet import sheet
from unitok.api.unitok import UniTok
from unitok.evaluate.answers import (
    YES_NO,
    answers_sheet,
    choose_likeliest,
    generate_answers,
    prefix_names,
)
from unitok.evaluate.metrics.chair import chair
from unitok.evaluate.metrics.pope import pope, says_yes
from unitok.evaluate.report import MAX_SHOWN, Report
from unitok.evaluate.suites import SceneSuite, register
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes.captions import parse_caption
from unitok.worlds.shapes.scenes import ShapesSource
from unitok.worlds.shapes.tasks import ShapesTasks


def hallucination_report(
    model: UniTok, *, canvas: int, count: int = 500, batch_size: int = 128, kind: str = "demo"
) -> Report:
    """POPE's scores of answers, generated and by likelihood, and CHAIR's of captions, on unseen scenes and on
    as many with a held-out composition (`heldout_…`)."""
    report = Report({"scenes": count})
    for prefix, held_out in (("", False), ("heldout_", True)):
        questions = ShapesTasks(TEST_SEED, count, canvas, ["exist"], held_out=held_out)
        report |= _pope(model, questions, prefix=prefix, batch_size=batch_size)
        scenes = ShapesSource(first_seed=TEST_SEED, count=count, canvas=canvas, kind=kind, held_out=held_out)
        report |= _chair(model, scenes, prefix=prefix, batch_size=batch_size)
    return report


def _pope(model: UniTok, source: ShapesTasks, *, prefix: str, batch_size: int) -> Report:
    documents = [source[index] for index in range(len(source))]
    prompts, truth = [document[:-1] for document in documents], [d[-1].content == "yes" for d in documents]
    answers = generate_answers(model, prompts, batch_size=batch_size)
    predictions = [says_yes(text) for text in answers]
    likelier = [word == "yes" for word in choose_likeliest(model, prompts, YES_NO, batch_size=batch_size)]
    right = [a == b for a, b in zip(predictions, truth, strict=True)]
    return Report(
        prefix_names(f"{prefix}pope", pope(predictions, truth))
        | prefix_names(f"{prefix}pope_likelihood", pope(likelier, truth)),
        {f"{prefix}pope": answers_sheet(prompts, answers, right)},
    )


def _chair(model: UniTok, source: ShapesSource, *, prefix: str, batch_size: int) -> Report:
    images = [source[index][-1].content for index in range(len(source))]
    captions = model.caption(images, batch_size=batch_size)
    mentioned = [objects_of(text) for text in captions]
    present = [{item.name for item in source.scene(index).objects} for index in range(len(source))]
    scores = chair(mentioned, present)
    right = [set(names) <= objects for names, objects in zip(mentioned, present, strict=True)]
    return Report(
        {f"{prefix}chair_s": scores.sentences, f"{prefix}chair_i": scores.instances},
        {f"{prefix}chair": sheet(images[:MAX_SHOWN], captions[:MAX_SHOWN], marks=right[:MAX_SHOWN])},
    )


def objects_of(caption: str) -> Sequence[str]:
    """The objects that a caption names, such as "small red circle"; a text that is no caption of this world
    counts as one absent object."""
    claim = parse_caption(caption)
    return (caption,) if claim is None else claim.names


@register(
    "hallucination",
    measures={"*pope_accuracy": "questions", "*pope_f1": "questions", "*chair_?": "captions"},
    counted="scenes",
)
class Hallucination(SceneSuite):
    """Unseen scenes, and as many with a held-out composition."""

    count: int = 500

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        return hallucination_report(model, canvas=self.canvas(model), count=self.count, batch_size=batch_size)
