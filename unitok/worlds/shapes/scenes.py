"""Seeded scenes of the shapes world with images and captions. Knows no tokenizer."""

from collections.abc import Sequence
from math import ceil, floor
from random import Random
from typing import NamedTuple

from PIL import Image

from unitok.document import Document, Segment
from unitok.worlds.seeded import TRAIN_SEED, Seeded
from unitok.worlds.shapes.captions import captions
from unitok.worlds.shapes.pixels import render
from unitok.worlds.shapes.world import (
    GAP,
    HELD_OUT,
    PLACE_MARGIN,
    RELATION_MARGIN,
    RELATION_SHARE,
    SEEN,
    SIZES,
    Scene,
    SceneObject,
)

KINDS = ("one", "two", "three", "counting", "demo")
ONE_SHARE = 0.45
"""Share of the demo's scenes with a single object, half of them captioned with its place."""


class CaptionedScene(NamedTuple):
    """A scene and one of its true captions."""

    scene: Scene
    caption: str


def sample(seed: int, *, canvas: int = 64, kind: str = "demo", held_out: bool = False) -> CaptionedScene:
    """The captioned scene of a seed.

    With `held_out=False` no held-out composition occurs, with `held_out=True` at least one does.
    """
    if kind not in KINDS or canvas < 48 or seed < 0:
        raise ValueError(
            f"kind must be one of {', '.join(KINDS)}, canvas at least 48 pixels and seed at least 0, "
            f"got kind {kind!r}, canvas {canvas}, seed {seed}"
        )
    rng = Random(seed)
    if kind == "demo":
        share = rng.random()
        if share < ONE_SHARE:
            return _sample_one(rng, canvas, held_out, with_place=share < ONE_SHARE / 2)
    if kind == "one":
        return _sample_one(rng, canvas, held_out, with_place=rng.random() < 0.5)
    scene = Scene(_sample_many(rng, canvas, held_out, kind), canvas)
    return CaptionedScene(scene, caption(scene, rng))


def sample_scene(seed: int, *, canvas: int = 64, kind: str = "demo", held_out: bool = False) -> Scene:
    """The scene of a seed; see `sample`."""
    return sample(seed, canvas=canvas, kind=kind, held_out=held_out).scene


def caption(scene: Scene, rng: Random) -> str:
    """One of a scene's true captions, each equally likely."""
    return _choose(rng, captions(scene))


def _choose(rng: Random, options: Sequence):
    """As `rng.choice`, but faster, and the same in every version of Python."""
    return options[int(rng.random() * len(options))]


def _between(rng: Random, low: float, high: float) -> int:
    """A whole number from low to high, both included."""
    first = ceil(low)
    return first + int(rng.random() * (floor(high) - first + 1))


def _sample_one(rng: Random, canvas: int, held_out: bool, *, with_place: bool) -> CaptionedScene:
    shape, colour = _choose(rng, HELD_OUT if held_out else SEEN)
    size = _choose(rng, tuple(SIZES))
    radius = SIZES[size] * canvas / 64
    if with_place:
        x, y = _inside_third(rng, radius, canvas), _inside_third(rng, radius, canvas)
    else:
        x, y = _between(rng, radius, canvas - radius), _between(rng, radius, canvas - radius)
    scene = Scene((SceneObject(shape, colour, size, x, y),), canvas)
    return CaptionedScene(scene, captions(scene)[with_place])


def _inside_third(rng: Random, radius: float, canvas: int) -> int:
    """A coordinate that a place may name, each third equally likely."""
    third, margin = int(rng.random() * 3), PLACE_MARGIN * canvas / 64
    low, high = third * canvas / 3 + margin, (third + 1) * canvas / 3 - margin
    return _between(rng, max(low, radius), min(high, canvas - radius))


def _sample_many(rng: Random, canvas: int, held_out: bool, kind: str) -> tuple[SceneObject, ...]:
    """Two or three objects; centres are resampled until the objects fit and, if two, are related."""
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
    """Shape, colour and size of each object: equal for counting, otherwise of distinct shapes and colours."""
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
    """Whether a bounding square keeps its distance from the others."""
    gap = max(GAP, GAP * canvas / 64)  # at least two pixels on a small canvas, or soft edges would touch
    return all(
        max(abs(centre[0] - x), abs(centre[1] - y)) >= radius + r + gap
        for (x, y), r in zip(others, radii, strict=False)
    )


def _unrelated(centres: list[tuple[int, int]], canvas: int) -> bool:
    (x0, y0), (x1, y1) = centres
    dx, dy = abs(x0 - x1), abs(y0 - y1)
    return max(dx, dy) < canvas * RELATION_SHARE or abs(dx - dy) < RELATION_MARGIN * canvas / 64


class ShapesSource(Seeded):
    """`count` scenes of consecutive seeds, of one split, as (caption, image)."""

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
        self.captioned_scene(0)  # raises for invalid arguments

    def captioned_scene(self, index: int) -> CaptionedScene:
        """The scene at an index with its caption."""
        return sample(self.seed(index), canvas=self.canvas, kind=self.kind, held_out=self.held_out)

    def scene(self, index: int) -> Scene:
        """The scene at an index, for the judge."""
        return self.captioned_scene(index).scene

    def __getitem__(self, index: int) -> Document:
        scene, text = self.captioned_scene(index)
        return Segment("text", text), Segment("image", Image.fromarray(render(scene)))
