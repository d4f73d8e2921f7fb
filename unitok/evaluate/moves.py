"""Success of moves in the shapes world, in a closed loop. Knows only a model's public calls."""

from collections.abc import Sequence
from random import Random

from PIL import Image, ImageDraw

from unitok.api.contact_sheet import sheet, side_by_side
from unitok.api.unitok import UniTok
from unitok.document import Document
from unitok.evaluate.report import MAX_SHOWN, Report, share
from unitok.evaluate.suites import SceneSuite, register
from unitok.modalities.actions import Action
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes.moves import Move, ShapesMoves, Verdict, carry_out, judge_action
from unitok.worlds.shapes.pixels import render
from unitok.worlds.shapes.world import Scene

SCALE, INK = 3, (0, 0, 0)  # of the images on a contact sheet, and the colour of the arrows


def moves_report(model: UniTok, *, canvas: int, count: int = 200, batch_size: int = 128) -> Report:
    """Let a model move an object in each of `count` unseen scenes, and of as many with a held-out composition
    (`heldout_…`).

    `moves_success` is the share of instructions that are carried out, `moves_pick` that of picks of the right
    object, and `moves_place` that of right places, were that object picked. `moves_random` is the success of
    random actions, `moves_elsewhere` that of the true actions of other scenes.

    Raises:
        ValueError: the model has neither points nor actions of a pick and a place.
    """
    predict = _predict_points if "action" not in model.codec.modalities else _predict_actions
    report = Report({"scenes": count})
    for prefix, held_out in (("", False), ("heldout_", True)):
        source = ShapesMoves(TEST_SEED, count, canvas, held_out=held_out)
        moves = [source.moves(index)[0] for index in range(count)]
        actions = predict(model, [source[index][:2] for index in range(count)], canvas, batch_size)
        verdicts, truth = _judge(moves, actions), [move.action for move in moves]
        report |= Report(
            {
                f"{prefix}moves_success": share([verdict.success for verdict in verdicts]),
                f"{prefix}moves_pick": share([verdict.pick for verdict in verdicts]),
                f"{prefix}moves_place": share([verdict.place for verdict in verdicts]),
                f"{prefix}moves_random": _success(moves, _random_actions(count, canvas)),
                f"{prefix}moves_elsewhere": _success(moves, [*truth[1:], truth[0]]),
            },
            {f"{prefix}moves": _moves_sheet(moves[:MAX_SHOWN], actions, verdicts)},
        )
    return report


def _predict_actions(
    model: UniTok, prompts: Sequence[Document], canvas: int, batch_size: int
) -> list[Action]:
    """The model's actions, in pixels."""
    modality = model.codec.modalities["action"]
    if (modality.rows, modality.axes) != (2, 2):
        raise ValueError(
            f"actions must have 2 steps of 2 numbers, pick and place, got {modality.rows} of {modality.axes}"
        )
    documents = model.generate(prompts, target="action", batch_size=batch_size)
    return [document[-1].content for document in documents]


def _predict_points(model: UniTok, prompts: Sequence[Document], canvas: int, batch_size: int) -> list[Action]:
    """The model's pick and place as two points, in pixels."""
    if "point" not in model.codec.modalities:
        raise ValueError(f"modalities must have action or point, got {', '.join(model.codec.modalities)}")
    for _ in range(2):
        prompts = model.generate(prompts, target="point", batch_size=batch_size)
    return [
        Action(tuple(segment.content.pixels(canvas, canvas) for segment in document[-2:]))
        for document in prompts
    ]


def _random_actions(count: int, canvas: int) -> list[Action]:
    rng = Random(0)
    return [Action(tuple((rng.random() * canvas, rng.random() * canvas) for _ in "ab")) for _ in range(count)]


def _judge(moves: Sequence[Move], actions: Sequence[Action]) -> list[Verdict]:
    return [judge_action(move, *action.steps) for move, action in zip(moves, actions, strict=True)]


def _success(moves: Sequence[Move], actions: Sequence[Action]) -> float:
    return share([verdict.success for verdict in _judge(moves, actions)])


def _moves_sheet(
    moves: Sequence[Move], actions: Sequence[Action], verdicts: Sequence[Verdict]
) -> Image.Image:
    """Contact sheet of scenes before, with an arrow from pick to place, and after."""
    images = []
    for move, action in zip(moves, actions, strict=False):
        before, after = _enlarge(move.scene), _enlarge(carry_out(move.scene, *action.steps))
        (x, y), end = [(SCALE * x, SCALE * y) for x, y in action.steps]
        pen = ImageDraw.Draw(before)
        pen.line([(x, y), end], fill=INK, width=SCALE)
        pen.ellipse([x - 2 * SCALE, y - 2 * SCALE, x + 2 * SCALE, y + 2 * SCALE], outline=INK, width=SCALE)
        images.append(side_by_side([before, after]))
    marks = [verdict.success for verdict in verdicts[: len(images)]]
    labels = [move.instruction for move in moves]
    return sheet(images, labels, columns=4, side=max(images[0].size), marks=marks)


def _enlarge(scene: Scene) -> Image.Image:
    side = SCALE * scene.canvas
    return Image.fromarray(render(scene)).resize((side, side), Image.Resampling.NEAREST)


@register("moves", measures={"*moves_success": "actions"}, counted="scenes")
class Moves(SceneSuite):
    """Unseen scenes, and as many with a held-out composition."""

    count: int = 200

    def never_learned(self, model: UniTok) -> str | None:
        return model.unlearned("actions", "boxes")  # points are an action's two places

    def measure(self, model: UniTok, *, batch_size: int = 128) -> Report:
        return moves_report(model, canvas=self.canvas(model), count=self.count, batch_size=batch_size)
