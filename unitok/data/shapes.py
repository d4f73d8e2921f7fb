"""The built-in world: seeded scenes of flat shapes with their pictures and true captions.

Knows no tokenizer, no model and no files. All lengths are pixels of a 64 × 64 canvas, scaled by canvas / 64;
a centre is the shape's origin, measured from the canvas' top left corner to the right and down.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from math import ceil, cos, floor, pi, sin
from random import Random
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from unitok.data.seeds import TRAIN_SEED, Seeded
from unitok.document import Document, Segment

BACKGROUND = (250, 250, 250)
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 220),
    "yellow": (240, 210, 40),
    "purple": (150, 60, 190),
    "orange": (245, 140, 30),
    "cyan": (50, 200, 210),
    "gray": (130, 130, 130),
}
SHAPES = ("circle", "square", "triangle", "star")
SIZES = {"small": 7.0, "large": 12.0}
HELD_OUT = (("triangle", "cyan"), ("star", "purple"), ("square", "orange"), ("circle", "gray"))
SEEN = tuple((s, c) for s in SHAPES for c in COLOURS if (s, c) not in HELD_OUT)
KINDS = ("one", "two", "three", "counting", "demo")
RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
PLACES = (
    ("top left", "top", "top right"),
    ("left", "center", "right"),
    ("bottom left", "bottom", "bottom right"),
)
NUMBERS = {2: "two", 3: "three"}

GAP = 2.0  # between bounding squares
PLACE_MARGIN = 2.0  # from a third's border
RELATION_MARGIN = 3.0  # by which the named axis exceeds the other
RELATION_SHARE = 1 / 5  # of the canvas, the least distance along the named axis
ONE_SHARE = 0.45  # of the demo's scenes; half of them with a place

SUBPIXELS = 4


@dataclass(frozen=True, slots=True)
class SceneObject:
    """A shape of one colour and size with its centre (x, y) in pixels."""

    shape: str
    colour: str
    size: str
    x: float
    y: float

    @property
    def name(self) -> str:
        """The words of a caption, such as "small red circle"."""
        return f"{self.size} {self.colour} {self.shape}"

    @property
    def held_out(self) -> bool:
        """Whether this composition of shape and colour never occurs in training."""
        return (self.shape, self.colour) in HELD_OUT


@dataclass(frozen=True, slots=True)
class Scene:
    """One to three objects on a square canvas of `canvas` pixels a side."""

    objects: tuple[SceneObject, ...]
    canvas: int


class Captioned(NamedTuple):
    """A scene and the one of its true captions that its seed chose."""

    scene: Scene
    caption: str


class Claim(NamedTuple):
    """What a caption states: exactly these objects, by name, and perhaps a place or a relation of them."""

    names: tuple[str, ...]
    place: str | None = None
    relation: str | None = None


# ---- pictures


def coverage(
    shape: str, size: str, canvas: int, *, dx: float = 0.0, dy: float = 0.0
) -> Float[np.ndarray, "side side"]:
    """The share, 0..1, of each pixel that a shape covers whose origin is (dx, dy) off the square's middle."""
    radius = SIZES[size] * canvas / 64
    half = ceil(radius + max(abs(dx), abs(dy)))
    line = (np.arange(2 * half * SUBPIXELS) + 0.5) / SUBPIXELS - half
    x, y = (line - dx)[None, :] / radius, (line - dy)[:, None] / radius
    inside = x**2 + y**2 <= 1 if shape == "circle" else _in_polygon(_corners(shape), x, y)
    return inside.reshape(2 * half, SUBPIXELS, 2 * half, SUBPIXELS).mean(axis=(1, 3))


def _corners(shape: str) -> list[tuple[float, float]]:
    """The corners of a shape of radius 1 about its origin, y down."""
    if shape == "square":
        return [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]
    if shape == "triangle":
        return [(0.0, -1.0), (0.95, 0.8), (-0.95, 0.8)]
    radii = (1.0, 0.42) * 5
    return [(r * sin(i * pi / 5), -r * cos(i * pi / 5)) for i, r in enumerate(radii)]


def _in_polygon(corners: Sequence[tuple[float, float]], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Even-odd rule: a point is inside when a ray to its right crosses an odd number of edges."""
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y0 != y1:
            spans = (y0 <= y) != (y1 <= y)
            inside ^= spans & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


@lru_cache(maxsize=1024)
def _stamp(shape: str, colour: str, size: str, canvas: int) -> tuple[np.ndarray, np.ndarray]:
    """Sixteenths of the background that stay, and of the colour that are added (rounding included)."""
    sixteenths = np.rint(coverage(shape, size, canvas) * SUBPIXELS**2).astype(np.uint16)[..., None]
    return SUBPIXELS**2 - sixteenths, sixteenths * np.array(COLOURS[colour], np.uint16) + SUBPIXELS**2 // 2


@lru_cache(maxsize=16)
def _blank(canvas: int) -> np.ndarray:
    return np.full((canvas, canvas, 3), BACKGROUND, np.uint8)


def render(scene: Scene) -> UInt8[np.ndarray, "canvas canvas 3"]:
    """The picture of a scene, drawn at 4 × and box-filtered; centres are whole pixels."""
    picture = _blank(scene.canvas).copy()
    for item in scene.objects:
        keep, add = _stamp(item.shape, item.colour, item.size, scene.canvas)
        half = len(keep) // 2
        top, left = int(item.y) - half, int(item.x) - half
        if min(top, left) < 0 or max(top, left) + 2 * half > scene.canvas:
            raise ValueError(f"{item} does not lie inside a canvas of {scene.canvas} pixels")
        region = picture[top : top + 2 * half, left : left + 2 * half]
        region[...] = (region * keep + add) >> 4
    return picture


# ---- captions


def captions(scene: Scene) -> list[str]:
    """Every true caption of a scene, the plainest first."""
    objects = scene.objects
    if len(objects) == 1:
        place = place_of(objects[0], scene.canvas)
        plain = f"a {objects[0].name}"
        return [plain] if place is None else [plain, f"{plain} at the {place}"]
    if len({item.name for item in objects}) == 1:
        return [f"{NUMBERS[len(objects)]} {objects[0].name}s"]
    if len(objects) == 2:
        return _relational(objects, scene.canvas)
    return [f"a {a.name}, a {b.name} and a {c.name}" for a, b, c in permutations(objects)]


def _relational(objects: Sequence[SceneObject], canvas: int) -> list[str]:
    return [
        f"a {a.name} {relation} a {b.name}"
        for a, b in permutations(objects)
        for relation in RELATIONS
        if related(a, b, relation, canvas)
    ]


def place_of(item: SceneObject, canvas: int) -> str | None:
    """The place a caption may name for an object, or None too near a third's border."""
    row, column = _third(item.y, canvas), _third(item.x, canvas)
    return None if row is None or column is None else PLACES[row][column]


def _third(value: float, canvas: int) -> int | None:
    margin = PLACE_MARGIN * canvas / 64
    third = min(int(value * 3 / canvas), 2)
    near = third > 0 and value - third * canvas / 3 < margin
    return None if near or (third < 2 and (third + 1) * canvas / 3 - value < margin) else third


def placed(item: SceneObject, place: str, canvas: int, *, tolerance: float = 0.0) -> bool:
    """Whether a centre lies in the thirds of the canvas that a place names, within `tolerance` pixels."""
    row, column = next((r, c) for r in range(3) for c in range(3) if PLACES[r][c] == place)
    slack = tolerance * canvas / 64
    return all(
        third * canvas / 3 - slack <= value <= (third + 1) * canvas / 3 + slack
        for value, third in ((item.y, row), (item.x, column))
    )


def related(a: SceneObject, b: SceneObject, relation: str, canvas: int, *, tolerance: float = 0.0) -> bool:
    """Whether `a` is left of, right of, above or below `b`, `tolerance` pixels of 64 allowed."""
    along_x, along_y = RELATIONS[relation]
    dx, dy = a.x - b.x, a.y - b.y
    distance = along_x * dx + along_y * dy
    other = abs(dy if along_x else dx)
    far = distance >= canvas * RELATION_SHARE - tolerance * canvas / 64
    return far and distance - other >= (RELATION_MARGIN - tolerance) * canvas / 64


_NAME = f"((?:{'|'.join(SIZES)}) (?:{'|'.join(COLOURS)}) (?:{'|'.join(SHAPES)}))"
_PLACE = "|".join(place for row in PLACES for place in row)
_GRAMMAR = (
    re.compile(f"a {_NAME}(?: at the (?P<place>{_PLACE}))?"),
    re.compile(f"a {_NAME} (?P<relation>{'|'.join(RELATIONS)}) a {_NAME}"),
    re.compile(f"a {_NAME}, a {_NAME} and a {_NAME}"),
)
_COUNTING = re.compile(f"({'|'.join(NUMBERS.values())}) {_NAME}s")


def parse_caption(caption: str) -> Claim | None:
    """What a caption states, or None where it is not exactly a sentence of this world."""
    if counting := _COUNTING.fullmatch(caption):
        number = {word: n for n, word in NUMBERS.items()}[counting[1]]
        return Claim((counting[2],) * number)
    for pattern in _GRAMMAR:
        if match := pattern.fullmatch(caption):
            words = match.groupdict()
            names = tuple(g for i, g in enumerate(match.groups(), 1) if i not in pattern.groupindex.values())
            return Claim(names, words.get("place"), words.get("relation"))
    return None


def claim_holds(claim: Claim, objects: Sequence[SceneObject], canvas: int, *, tolerance: float = 0.0) -> bool:
    """Whether the objects satisfy every statement of a claim and nothing else is there."""
    if sorted(claim.names) != sorted(item.name for item in objects):
        return False
    if claim.place:
        return placed(objects[0], claim.place, canvas, tolerance=tolerance)
    if claim.relation:
        return any(
            (a.name, b.name) == claim.names and related(a, b, claim.relation, canvas, tolerance=tolerance)
            for a, b in permutations(objects)
        )
    return True


# ---- sampling


def sample(seed: int, *, canvas: int = 64, kind: str = "demo", held_out: bool = False) -> Captioned:
    """The scene of a seed and the caption that the seed chooses for it.

    Held-out compositions never occur with `held_out=False`; at least one does with `held_out=True`.
    """
    if kind not in KINDS or canvas < 48 or seed < 0:
        raise ValueError(
            f"got kind {kind!r}, canvas {canvas}, seed {seed}; expected a kind of {', '.join(KINDS)}, "
            "a canvas of at least 48 pixels and a seed of at least 0"
        )
    rng = Random(seed)
    if kind == "demo":
        share = rng.random()
        if share < ONE_SHARE:
            return _sample_one(rng, canvas, held_out, with_place=share < ONE_SHARE / 2)
    if kind == "one":
        return _sample_one(rng, canvas, held_out, with_place=rng.random() < 0.5)
    scene = Scene(_sample_many(rng, canvas, held_out, kind), canvas)
    return Captioned(scene, caption(scene, rng))


def sample_scene(seed: int, *, canvas: int = 64, kind: str = "demo", held_out: bool = False) -> Scene:
    """The scene of a seed; see `sample`."""
    return sample(seed, canvas=canvas, kind=kind, held_out=held_out).scene


def caption(scene: Scene, rng: Random) -> str:
    """One of a scene's true captions, each equally likely."""
    return _choose(rng, captions(scene))


def _choose(rng: Random, options: Sequence):
    """As `rng.choice`, but the same in every version of Python, and faster."""
    return options[int(rng.random() * len(options))]


def _between(rng: Random, low: float, high: float) -> int:
    """A whole number from low to high, both included."""
    first = ceil(low)
    return first + int(rng.random() * (floor(high) - first + 1))


def _sample_one(rng: Random, canvas: int, held_out: bool, *, with_place: bool) -> Captioned:
    shape, colour = _choose(rng, HELD_OUT if held_out else SEEN)
    size = _choose(rng, tuple(SIZES))
    radius = SIZES[size] * canvas / 64
    if with_place:
        x, y = _inside_third(rng, radius, canvas), _inside_third(rng, radius, canvas)
    else:
        x, y = _between(rng, radius, canvas - radius), _between(rng, radius, canvas - radius)
    scene = Scene((SceneObject(shape, colour, size, x, y),), canvas)
    return Captioned(scene, captions(scene)[with_place])


def _inside_third(rng: Random, radius: float, canvas: int) -> int:
    """A coordinate that a place may name, each third equally likely."""
    third, margin = int(rng.random() * 3), PLACE_MARGIN * canvas / 64
    low, high = third * canvas / 3 + margin, (third + 1) * canvas / 3 - margin
    return _between(rng, max(low, radius), min(high, canvas - radius))


def _sample_many(rng: Random, canvas: int, held_out: bool, kind: str) -> tuple[SceneObject, ...]:
    """Two or three objects, their centres drawn anew until they fit (and, of two, are related)."""
    looks = _sample_looks(rng, held_out, kind)
    radii = [SIZES[size] * canvas / 64 for _, _, size in looks]
    needs_relation = kind in ("two", "demo")
    while True:
        centres: list[tuple[int, int]] = []
        for radius in radii:
            centre = _between(rng, radius, canvas - radius), _between(rng, radius, canvas - radius)
            if not _apart(centre, radius, centres, radii, canvas):
                break
            centres.append(centre)
        if len(centres) == len(radii) and not (needs_relation and _unrelated(centres, canvas)):
            return tuple(SceneObject(*look, *centre) for look, centre in zip(looks, centres, strict=True))


def _sample_looks(rng: Random, held_out: bool, kind: str) -> list[tuple[str, str, str]]:
    """Shape, colour and size of each object: all alike when counting, else no two of one shape and colour."""
    if kind == "counting":
        look = *_choose(rng, HELD_OUT if held_out else SEEN), _choose(rng, tuple(SIZES))
        return [look] * (2 + int(rng.random() * 2))
    number = 3 if kind == "three" else 2
    pairs = [_choose(rng, HELD_OUT if held_out else SEEN)]
    while len(pairs) < number:
        pair = _choose(rng, SEEN + HELD_OUT if held_out else SEEN)
        if pair not in pairs:
            pairs.insert(int(rng.random() * (len(pairs) + 1)), pair)
    return [(*pair, _choose(rng, tuple(SIZES))) for pair in pairs]


def _apart(centre: tuple[int, int], radius: float, others: list, radii: list[float], canvas: int) -> bool:
    """Whether a bounding square keeps its distance from those already placed."""
    gap = max(GAP, GAP * canvas / 64)  # two whole pixels also on a small canvas, or soft edges would touch
    return all(
        max(abs(centre[0] - x), abs(centre[1] - y)) >= radius + r + gap
        for (x, y), r in zip(others, radii, strict=False)
    )


def _unrelated(centres: list[tuple[int, int]], canvas: int) -> bool:
    (x0, y0), (x1, y1) = centres
    dx, dy = abs(x0 - x1), abs(y0 - y1)
    return max(dx, dy) < canvas * RELATION_SHARE or abs(dx - dy) < RELATION_MARGIN * canvas / 64


class ShapesSource(Seeded):
    """`count` scenes of consecutive seeds, of one split, as (caption, picture)."""

    def __init__(
        self,
        first_seed: int = TRAIN_SEED,
        count: int = 20_000,
        canvas: int = 64,
        kind: str = "demo",
        held_out: bool = False,
    ):
        super().__init__(first_seed, count)
        self.canvas, self.kind, self.held_out = canvas, kind, held_out
        self.captioned(0)  # wrong arguments fail here

    def captioned(self, index: int) -> Captioned:
        """The scene at an index with its caption."""
        return sample(self.seed(index), canvas=self.canvas, kind=self.kind, held_out=self.held_out)

    def scene(self, index: int) -> Scene:
        """The scene at an index, for the judge."""
        return self.captioned(index).scene

    def __getitem__(self, index: int) -> Document:
        scene, text = self.captioned(index)
        return Segment("text", text), Segment("image", Image.fromarray(render(scene)))
