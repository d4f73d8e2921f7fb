"""Suites of captioned images: reconstructions, captions and drawings. Knows only a model's public calls."""

from unitok.api.unitok import UniTok
from unitok.evaluate.judged_sets import easy_vqa_set, pairs_set, shapes_set
from unitok.evaluate.report import JudgedSet, Report, measure, measure_tokenizer
from unitok.evaluate.suites import DataSuite, SceneSuite, register

SCENES = 500


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


CAPTIONED = {
    "caption_accuracy": "captions",
    "heldout_caption_accuracy": "captions",
    "image_accuracy": "drawings",
    "heldout_image_accuracy": "drawings",
    "told_apart": "captions",
}
"""The tasks that the figures measure."""


@register("shapes", measures=CAPTIONED)
class Shapes(SceneSuite):
    """Unseen scenes of the shapes world, and as many with a held-out composition."""

    count: int = SCENES

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        return shapes_report(model, canvas=self.canvas(model), scenes=self.count, batch_size=batch_size)


@register("pairs", measures=CAPTIONED)
class Pairs(DataSuite):
    """Captioned images without a judge of drawings: a caption is right if it equals the image's own."""

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        return full_report(model, self.judged_set(), batch_size=batch_size)

    def judged_set(self) -> JudgedSet:
        """The images with their judge."""
        return pairs_set(self.source(), count=self.count)


@register("easy_vqa")
class EasyVqa(Pairs):
    """Images of one coloured shape each, whose drawings are judged by their pixels."""

    def judged_set(self) -> JudgedSet:
        return easy_vqa_set(self.source(), count=self.count)
