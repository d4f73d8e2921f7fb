"""The suite of moves counts what an action does, whether it is an action or two points."""

import pytest

from tests.tiny_model import tiny_model
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.evaluate.moves import moves_report
from unitok.modalities.actions import Action, ActionModality
from unitok.modalities.geometry import Point
from unitok.modalities.location_bins import PointModality
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes.moves import ShapesMoves

ACTION, POINT = ActionModality([6, 6], [42, 42], steps=2), PointModality()


class Oracle(UniTok):
    """Carries out each instruction, but for the scenes in `wrong`, whose pick and place are swapped."""

    def __init__(self, modality, wrong):
        self.codec, self.wrong = tiny_model(more=[modality]).codec, wrong

    def generate(self, prompts, *, target, batch_size):
        documents = []
        for i, prompt in enumerate(prompts):
            sources = [ShapesMoves(TEST_SEED, len(prompts), 48, held_out=flag) for flag in (False, True)]
            (move,) = next(source.moves(i) for source in sources if source[i][:2] == prompt[:2])
            steps = move.action.steps[::-1] if i in self.wrong else move.action.steps
            if target == "point":
                content = Point(*(value / 48 for value in steps[len(prompt) - 2]))
            else:
                content = Action(steps)
            documents.append((*prompt, Segment(target, content)))
        return documents


@pytest.mark.parametrize("modality", [ACTION, POINT], ids=lambda modality: modality.name)
def test_a_model_that_carries_out_most_instructions(modality):
    report = moves_report(Oracle(modality, wrong=[3, 7]), canvas=48, count=20)
    for prefix in ("", "heldout_"):
        figures = [report.figures[f"{prefix}moves_{name}"] for name in ("success", "pick", "place")]
        assert figures == pytest.approx([0.9, 0.9, 0.9])
        assert max(report.figures[f"{prefix}moves_{name}"] for name in ("random", "elsewhere")) <= 0.1
    assert report.figures["scenes"] == 20 and set(report.sheets) == {"moves", "heldout_moves"}


@pytest.mark.parametrize("modality", [ACTION, POINT], ids=lambda modality: modality.name)
def test_an_untrained_model_carries_out_next_to_nothing(modality):
    report = moves_report(tiny_model(shape=(3, 3), more=[modality]), canvas=48, count=8)
    assert report.figures["moves_success"] <= 0.25


def test_models_without_places_are_refused():
    with pytest.raises(ValueError, match="must have action or point, got text, image"):
        moves_report(tiny_model(), canvas=48, count=1)
    with pytest.raises(ValueError, match="must have 2 steps of 2 numbers, pick and place, got 1 of 7"):
        moves_report(tiny_model(more=[ActionModality([0] * 7, [1] * 7)]), canvas=48, count=1)
