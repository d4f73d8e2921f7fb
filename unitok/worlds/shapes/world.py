"""Scenes of the shapes world: objects, colours, sizes, relations. Knows no images and no sentences.

All lengths are pixels of a 64 × 64 canvas, scaled by canvas / 64; a centre is the shape's origin, measured
from the canvas' top left corner to the right and down.
"""

from dataclasses import dataclass

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
RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
PLACES = (
    ("top left", "top", "top right"),
    ("left", "center", "right"),
    ("bottom left", "bottom", "bottom right"),
)
NUMBERS = {2: "two", 3: "three"}

GAP = 2.0  # between bounding squares
PLACE_MARGIN = 2.0  # from a border between thirds
RELATION_MARGIN = 3.0  # by which the named axis exceeds the other
RELATION_SHARE = 1 / 5  # of the canvas: the minimum distance along the named axis


@dataclass(frozen=True, slots=True)
class SceneObject:
    """A shape with its colour, size and centre (x, y) in pixels."""

    shape: str
    colour: str
    size: str
    x: float
    y: float

    @property
    def name(self) -> str:
        """The name in captions, such as "small red circle"."""
        return f"{self.size} {self.colour} {self.shape}"

    @property
    def held_out(self) -> bool:
        """Whether this composition of shape and colour never occurs in training."""
        return (self.shape, self.colour) in HELD_OUT


@dataclass(frozen=True, slots=True)
class Scene:
    """One to three objects on a square canvas with sides of `canvas` pixels."""

    objects: tuple[SceneObject, ...]
    canvas: int


def place_of(item: SceneObject, canvas: int) -> str | None:
    """The place a caption may name for an object, or None if it is too near a border between thirds."""
    row, column = _third(item.y, canvas), _third(item.x, canvas)
    return None if row is None or column is None else PLACES[row][column]


def _third(value: float, canvas: int) -> int | None:
    margin = PLACE_MARGIN * canvas / 64
    third = min(int(value * 3 / canvas), 2)
    near_low = third > 0 and value - third * canvas / 3 < margin
    near_high = third < 2 and (third + 1) * canvas / 3 - value < margin
    return None if near_low or near_high else third


def is_placed(item: SceneObject, place: str, canvas: int, *, tolerance: float = 0.0) -> bool:
    """Whether a centre lies in the thirds named by a place, within `tolerance` pixels of a 64 × 64 canvas."""
    row, column = next((r, c) for r in range(3) for c in range(3) if PLACES[r][c] == place)
    slack = tolerance * canvas / 64
    return all(
        third * canvas / 3 - slack <= value <= (third + 1) * canvas / 3 + slack
        for value, third in ((item.y, row), (item.x, column))
    )


def is_related(a: SceneObject, b: SceneObject, relation: str, canvas: int, *, tolerance: float = 0.0) -> bool:
    """Whether `a` is left of, right of, above or below `b`, within `tolerance` pixels of a 64 × 64 canvas."""
    along_x, along_y = RELATIONS[relation]
    dx, dy = a.x - b.x, a.y - b.y
    distance = along_x * dx + along_y * dy
    across = abs(dy if along_x else dx)
    is_far = distance >= canvas * RELATION_SHARE - tolerance * canvas / 64
    return is_far and distance - across >= (RELATION_MARGIN - tolerance) * canvas / 64
