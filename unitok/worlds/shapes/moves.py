"""Moves of objects: an instruction, the pick and place that carries it out, and its closed-loop judge. Knows
no tokenizer.

A gripper takes the object under the pick and carries it from there to the place. Coordinates are (x, y) in
pixels from the canvas' top left corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, permutations, product
from random import Random
from typing import NamedTuple

from PIL import Image

from unitok.document import Document, Segment
from unitok.modalities.actions import Action
from unitok.modalities.geometry import Point
from unitok.worlds.seeded import SPLIT_SEEDS, TRAIN_SEED, Seeded, one_of, split_of
from unitok.worlds.shapes.edits import fits
from unitok.worlds.shapes.judge import shows_scene
from unitok.worlds.shapes.pixels import render
from unitok.worlds.shapes.questions import box_of, name_of, uniquely_named
from unitok.worlds.shapes.scenes import sample_scene
from unitok.worlds.shapes.world import GAP, RELATIONS, SIZES, Scene, SceneObject, is_related

KINDS = ("two", "three")
LABELS = ("pick", "place")
ROOM = 3.0  # pixels of a 64 x 64 canvas, around the place, in which the instruction is carried out as well


@dataclass(frozen=True, slots=True)
class Move:
    """An instruction in a scene: to bring `item` to the side `relation` of `other`; `place` does it."""

    scene: Scene
    item: SceneObject
    relation: str
    other: SceneObject
    place: tuple[float, float]

    @property
    def instruction(self) -> str:
        """Such as "move the red circle left of the star": `other` is named by its shape if that is unique."""
        unique = sum(item.shape == self.other.shape for item in self.scene.objects) == 1
        name = f"the {self.other.shape}" if unique else name_of(self.other)
        return f"move {name_of(self.item)} {self.relation} {name}"

    @property
    def action(self) -> Action:
        """The two steps pick and place, in pixels."""
        return Action(((self.item.x, self.item.y), self.place))

    @property
    def points(self) -> tuple[Point, Point]:
        """The pick and the place as points in the image."""
        canvas = self.scene.canvas
        return tuple(Point(x / canvas, y / canvas) for x, y in self.action.steps)


class Verdict(NamedTuple):
    """Whether an action picks the right object, whether its place is right for that object, and whether the
    instruction is carried out."""

    pick: bool
    place: bool
    success: bool


def sample_moves(seed: int, *, canvas: int = 64, turns: int = 1, held_out: bool = False) -> tuple[Move, ...]:
    """One to `turns` different moves in one scene: a pure function of its arguments.

    Scenes are sampled from the seed's split until they allow a move. With `held_out=False` no held-out
    composition occurs, with `held_out=True` at least one does.
    """
    if turns < 1:
        raise ValueError(f"turns must be at least 1, got {turns}")
    rng = Random(f"moves of {seed}")
    for _ in count():
        scene_seed = split_of(seed) + int(rng.random() * SPLIT_SEEDS)
        scene = sample_scene(scene_seed, canvas=canvas, kind=one_of(rng, KINDS), held_out=held_out)
        moves = moves_in(scene)
        if moves:
            break
    return tuple(moves.pop(int(rng.random() * len(moves))) for _ in range(min(turns, len(moves))))


def moves_in(scene: Scene) -> list[Move]:
    """Every move that a scene allows: the relation does not hold yet, and there is room of ROOM around the
    place."""
    moves = []
    for item, other in permutations(uniquely_named(scene), 2):
        for relation in RELATIONS:
            if not is_related(item, other, relation, scene.canvas):
                move = Move(scene, item, relation, other, _place(item, relation, other, scene.canvas))
                if _has_room(move):
                    moves.append(move)
    return moves


def _place(item: SceneObject, relation: str, other: SceneObject, canvas: int) -> tuple[int, int]:
    """The middle between `other` and the canvas' border on the relation's side, beside `other`."""
    scale = canvas / 64
    radius, room = SIZES[item.size] * scale, ROOM * scale
    distance = radius + SIZES[other.size] * scale + max(GAP, GAP * scale)
    place = []
    for direction, centre in zip(RELATIONS[relation], (other.x, other.y), strict=True):
        low, high = radius, canvas - radius
        if direction:
            low, high = (low, centre - distance) if direction < 0 else (centre + distance, high)
            place.append(round((low + high) / 2))
        else:
            place.append(round(min(max(centre, low + room), high - room)))
    return place[0], place[1]


def _has_room(move: Move) -> bool:
    """Whether the instruction is carried out at all corners of the square of ROOM around the place."""
    room = ROOM * move.scene.canvas / 64
    x, y = move.place
    return all(
        _is_done(move, replace(move.item, x=x + dx, y=y + dy)) for dx, dy in product((-room, room), repeat=2)
    )


def _is_done(move: Move, moved: SceneObject) -> bool:
    """Whether the moved object lies inside the canvas, apart from the others, and in its relation."""
    others = [other for other in move.scene.objects if other is not move.item]
    canvas = move.scene.canvas
    return fits(moved, others, canvas) and is_related(moved, move.other, move.relation, canvas)


def picked(scene: Scene, pick: Sequence[float]) -> SceneObject | None:
    """The object in whose box the pick lies, or None."""
    x, y = pick
    for item in scene.objects:
        left, top, right, bottom = box_of(item, scene.canvas).pixels(scene.canvas, scene.canvas)
        if left <= x <= right and top <= y <= bottom:
            return item
    return None


def carry_out(scene: Scene, pick: Sequence[float], place: Sequence[float]) -> Scene:
    """The scene after an action; the same if there is nothing under the pick, or the object would not fit."""
    item = picked(scene, pick)
    if item is None:
        return scene
    x, y = (round(c + b - a) for c, a, b in zip((item.x, item.y), pick, place, strict=True))
    moved, others = replace(item, x=x, y=y), [other for other in scene.objects if other is not item]
    if not fits(moved, others, scene.canvas):
        return scene
    return replace(scene, objects=tuple(moved if one is item else one for one in scene.objects))


def judge_action(move: Move, pick: Sequence[float], place: Sequence[float]) -> Verdict:
    """Carries an action out and judges the scene after it, and its image."""
    return Verdict(
        pick=picked(move.scene, pick) is move.item,
        place=_succeeds(move, (move.item.x, move.item.y), place),
        success=_succeeds(move, pick, place),
    )


def _succeeds(move: Move, pick: Sequence[float], place: Sequence[float]) -> bool:
    """Whether the named object alone was moved, its relation holds, and the image shows all objects so."""
    after = carry_out(move.scene, pick, place)
    pairs = zip(move.scene.objects, after.objects, strict=True)
    changed = [(before, moved) for before, moved in pairs if before is not moved]
    done = [before is move.item and _is_done(move, moved) for before, moved in changed]
    return done == [True] and shows_scene(render(after), after)


class ShapesMoves(Seeded):
    """`count` documents of consecutive seeds: an image, then instructions, each with the action that carries
    it out in the scene of the image. Actions are learned, images are not.

    Args:
        first_seed: TRAIN_SEED, VALIDATION_SEED or TEST_SEED, or a seed after it; see Seeded.
        count: number of documents.
        canvas: side of an image, in pixels.
        turns: maximum number of instructions about the same image.
        as_points: write an action as two points, for models without actions.
        learn_instructions: whether instructions are learned too: they name objects of the image, which
            teaches to see them.
        held_out: whether scenes show held-out compositions, for tests.
    """

    def __init__(
        self,
        first_seed: int = TRAIN_SEED,
        count: int = 20_000,
        canvas: int = 64,
        turns: int = 1,
        as_points: bool = False,
        learn_instructions: bool = False,
        held_out: bool = False,
    ):
        super().__init__(first_seed, count)
        self.canvas, self.turns, self.held_out = canvas, turns, held_out
        self.as_points, self.learn_instructions = as_points, learn_instructions
        self.moves(0)  # raises for invalid arguments

    def moves(self, index: int) -> tuple[Move, ...]:
        """The moves at an index, for a judge."""
        options = {"canvas": self.canvas, "turns": self.turns, "held_out": self.held_out}
        return sample_moves(self.seed(index), **options)

    def __getitem__(self, index: int) -> Document:
        moves = self.moves(index)
        segments = [Segment("image", Image.fromarray(render(moves[0].scene)), learn=False)]
        for move in moves:
            segments.append(Segment("text", move.instruction, learn=self.learn_instructions))
            if self.as_points:
                segments += [Segment("point", point) for point in move.points]
            else:
                segments.append(Segment("action", move.action))
        return tuple(segments)
