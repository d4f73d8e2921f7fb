"""Hallucination in the shapes world, by POPE and CHAIR. Knows a model's public calls alone.

Questions are those of the task "exist": half name what is there; of those that name what is absent, half
share its shape or colour with something there, as POPE's adversarial ones share a picture with it.
"""

from collections.abc import Sequence

from unitok.api.unitok import UniTok
from unitok.contact_sheet import sheet
from unitok.evaluate.benchmarks import YES_NO, answers, choices, named, page
from unitok.evaluate.metrics.chair import chair
from unitok.evaluate.metrics.pope import pope, says_yes
from unitok.evaluate.report import SHOWN, Report
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes.captions import parse_caption
from unitok.worlds.shapes.scenes import ShapesSource
from unitok.worlds.shapes.tasks import ShapesTasks


def hallucination_report(
    model: UniTok, *, canvas: int, count: int = 500, batch_size: int = 128, kind: str = "demo"
) -> Report:
    """POPE's figures of answers, written and by likelihood, and CHAIR's of captions, on unseen scenes and on
    as many with a held-out composition (`heldout_…`)."""
    report = Report({"scenes": count})
    for prefix, held_out in (("", False), ("heldout_", True)):
        asked = ShapesTasks(TEST_SEED, count, canvas, ["exist"], held_out=held_out)
        report |= _pope(model, asked, prefix=prefix, batch_size=batch_size)
        shown = ShapesSource(first_seed=TEST_SEED, count=count, canvas=canvas, kind=kind, held_out=held_out)
        report |= _chair(model, shown, prefix=prefix, batch_size=batch_size)
    return report


def _pope(model: UniTok, source: ShapesTasks, *, prefix: str, batch_size: int) -> Report:
    documents = [source[index] for index in range(len(source))]
    prompts, truth = [document[:-1] for document in documents], [d[-1].content == "yes" for d in documents]
    written = answers(model, prompts, batch_size=batch_size)
    said = [says_yes(text) for text in written]
    likelier = [word == "yes" for word in choices(model, prompts, YES_NO, batch_size=batch_size)]
    right = [a == b for a, b in zip(said, truth, strict=True)]
    return Report(
        named(f"{prefix}pope", pope(said, truth)) | named(f"{prefix}pope_likelihood", pope(likelier, truth)),
        {f"{prefix}pope": page(prompts, written, right)},
    )


def _chair(model: UniTok, source: ShapesSource, *, prefix: str, batch_size: int) -> Report:
    pictures = [source[index][-1].content for index in range(len(source))]
    written = model.caption(pictures, batch_size=batch_size)
    told = [objects_of(text) for text in written]
    there = [{item.name for item in source.scene(index).objects} for index in range(len(source))]
    result = chair(told, there)
    right = [set(names) <= objects for names, objects in zip(told, there, strict=True)]
    return Report(
        {f"{prefix}chair_s": result.sentences, f"{prefix}chair_i": result.instances},
        {f"{prefix}chair": sheet(pictures[:SHOWN], written[:SHOWN], marks=right[:SHOWN])},
    )


def objects_of(caption: str) -> Sequence[str]:
    """The objects that a caption names, such as "small red circle"; a text that is none of this world's
    captions counts as one object that is nowhere."""
    claim = parse_caption(caption)
    return (caption,) if claim is None else claim.names
