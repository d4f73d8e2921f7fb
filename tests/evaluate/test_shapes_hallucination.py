"""True answers are no hallucination; yes to everything and captions of absent objects are."""

import pytest

from tests.tiny_model import BRIEF, tiny_model
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.evaluate.shapes_hallucination import hallucination_report, objects_of
from unitok.evaluate.suites import run_suite
from unitok.generation.likelihood import Score
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes.scenes import ShapesSource
from unitok.worlds.shapes.tasks import ShapesTasks

COUNT = 12


class Oracle(UniTok):
    """Knows the truth by the bytes of the images and the questions; `wrong` turns its words."""

    def __init__(self, wrong=lambda text: text):
        self.truth, self.wrong = {}, wrong
        for held_out in (False, True):
            asked = ShapesTasks(TEST_SEED, COUNT, 48, ["exist"], held_out=held_out)
            shown = ShapesSource(first_seed=TEST_SEED, count=COUNT, canvas=48, held_out=held_out)
            self.truth |= {self.key(d[:-1]): d[-1].content for d in map(asked.__getitem__, range(COUNT))}
            self.truth |= {self.key((d[1],)): d[0].content for d in map(shown.__getitem__, range(COUNT))}

    def key(self, prompt):
        return prompt[0].content.tobytes(), *(segment.content for segment in prompt[1:])

    def said(self, prompt):
        return self.wrong(self.truth[self.key(prompt)])

    def generate(self, prompts, **options):
        return [(*prompt, Segment("text", self.said(prompt))) for prompt in prompts]

    def caption(self, images, **options):
        return [self.said((Segment("image", image),)) for image in images]

    def score(self, documents, **options):
        right = [float(d[-1].content == self.said(d[:-1])) for d in documents]
        return [Score(log_probability=value, count=1) for value in right]


def test_the_truth_is_no_hallucination():
    found = hallucination_report(Oracle(), canvas=48, count=COUNT)
    for prefix in ("", "heldout_"):
        assert found.figures[f"{prefix}pope_f1"] == found.figures[f"{prefix}pope_likelihood_f1"] == 1
        assert found.figures[f"{prefix}chair_i"] == found.figures[f"{prefix}chair_s"] == 0
    assert set(found.sheets) == {"pope", "chair", "heldout_pope", "heldout_chair"}


def test_yes_to_everything_and_captions_of_nothing_are_found_out():
    turned = {"no": "yes", "yes": "yes"}
    figures = hallucination_report(
        Oracle(lambda text: turned.get(text, "a small pink circle")), canvas=48, count=COUNT
    ).figures
    assert figures["pope_yes_ratio"] == figures["pope_recall"] == 1 and figures["pope_precision"] < 1
    assert figures["chair_s"] == figures["chair_i"] == 1


@pytest.mark.parametrize(
    ("caption", "objects"),
    [
        ("a small red circle left of a large blue square", ("small red circle", "large blue square")),
        ("two small red circles", ("small red circle",) * 2),
        ("what is this", ("what is this",)),
    ],
)
def test_objects_of_a_caption(caption, objects):
    assert tuple(objects_of(caption)) == objects


def test_a_model_is_measured():
    model = tiny_model(shape=(12, 12), max_side=12, max_length=400, sampling=BRIEF)
    figures = run_suite(model, "hallucination", count=2).figures
    assert figures["scenes"] == 2 and 0 <= figures["heldout_pope_likelihood_f1"] <= 1
