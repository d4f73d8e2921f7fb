"""Few-shot naming: made-up words, defined by the examples of a document alone. Knows no tokenizer.

What a word means is drawn anew for each document, so nothing of it can be stored in weights: a model that
names the last picture has read it off the pictures and words before it. Documents with the true words teach
what there is to be named.
"""

from itertools import count
from random import Random
from typing import Literal, NamedTuple

from PIL import Image

from unitok.document import Document, Segment
from unitok.worlds.seeded import SPLIT_SEEDS, TRAIN_SEED, Seeded, split_of
from unitok.worlds.shapes.pixels import render
from unitok.worlds.shapes.scenes import sample_scene
from unitok.worlds.shapes.world import COLOURS, SHAPES, Scene

WORDS = (
    "dax", "wug", "blick", "toma", "fep", "zup", "gorp", "modi",
    "pilk", "riff", "nurb", "lorp", "tazz", "hesk", "vint", "yop",
)  # fmt: skip
Trait = Literal["colour", "shape"]
TRAITS: dict[Trait, tuple[str, ...]] = {"colour": tuple(COLOURS), "shape": SHAPES}
"""What a word may name: the values of each."""


class Named(NamedTuple):
    """A picture of one object, the word for it, whether it is known (true, or said before), the true word."""

    scene: Scene
    word: str
    known: bool
    truth: str


def name_scenes(
    seed: int,
    *,
    pictures: int,
    classes: int = 2,
    trait: Trait = "colour",
    canvas: int = 64,
    made_up: bool = True,
) -> tuple[Named, ...]:
    """The pictures of a seed with their words: a pure function of its arguments.

    `classes` values of the trait get a word each, or are their own words without `made_up`; every picture's
    class is drawn by itself, each equally likely, so neither the order nor the words before tell which comes
    next. The rest of a scene (where, how large, and the other trait) is that of a scene of the seed's own
    split.

    Raises:
        ValueError: an unknown trait, fewer than two classes or more than it has values, or no picture.
    """
    if trait not in TRAITS:
        raise ValueError(f"trait is one of {', '.join(TRAITS)}, not {trait!r}")
    values = TRAITS[trait]
    if not 2 <= classes <= len(values) or pictures < 1:
        raise ValueError(
            f"got classes {classes}, pictures {pictures}; expected 2 to {len(values)} classes of {trait}, "
            "and 1 picture or more"
        )
    rng = Random(f"naming of {seed}")
    meant, words = _some(rng, values, classes), _some(rng, WORDS, classes)
    if not made_up:
        words = meant
    named: list[Named] = []
    for _ in range(pictures):
        number = int(rng.random() * classes)
        scene = _scene_of(rng, seed, trait, meant[number], canvas)
        known = not made_up or words[number] in {other.word for other in named}
        named.append(Named(scene, words[number], known, meant[number]))
    return tuple(named)


def _scene_of(rng: Random, seed: int, trait: Trait, value: str, canvas: int) -> Scene:
    """One object of this value, drawn from the seed's split until there is one."""
    for _ in count():
        scene = sample_scene(split_of(seed) + int(rng.random() * SPLIT_SEEDS), canvas=canvas, kind="one")
        if getattr(scene.objects[0], trait) == value:
            break
    return scene


def _some(rng: Random, options: tuple[str, ...], number: int) -> list[str]:
    """So many different ones in any order; as `rng.sample`, but the same in every version of Python."""
    left = list(options)
    return [left.pop(int(rng.random() * len(left))) for _ in range(number)]


def attainable(examples: int, *, classes: int) -> float:
    """The best expected accuracy, 0..1, of naming a picture after so many examples.

    A class among the examples is known. Any other has one of the words that the examples do not use, and no
    more can be known of it than that.

    Example:
        >>> [round(attainable(k, classes=2), 3) for k in (0, 1, 2, 4)]
        [0.062, 0.533, 0.767, 0.942]
    """
    unseen = (1 - 1 / classes) ** examples
    used = [1.0]  # the chance that 0, 1, … of the other classes occur, given that the picture's own does not
    for _ in range(examples):
        stay = [chance * number / (classes - 1) for number, chance in enumerate(used)]
        rise = [chance - kept for chance, kept in zip(used, stay, strict=True)]
        used = [a + b for a, b in zip([*stay, 0.0], [0.0, *rise], strict=True)]
    guess = sum(chance / (len(WORDS) - number) for number, chance in enumerate(used) if chance)
    return 1 - unseen + unseen * guess


class ShapesNaming(Seeded):
    """`count` documents of consecutive seeds: picture, word, picture, word, … for pictures of one object.

    Words alone are learned, and of these only those that an earlier picture of the document explains: the
    first of a class is a guess that would teach nothing.

    Args:
        first_seed: TRAIN_SEED, VALIDATION_SEED or TEST_SEED, or a seed after it; see Seeded.
        count: documents.
        canvas: pixels a side.
        pictures: a document.
        classes: words a document.
        trait: what the words name, "colour" or "shape".
        made_up: whether the words are made up, or the true ones.
        said: the true word comes first, as in "red dax": what is seen is said before it is named.
        shown: whether the pictures are there; the words alone are a cheap lesson in looking a word up.
    """

    def __init__(
        self,
        first_seed: int = TRAIN_SEED,
        count: int = 20_000,
        canvas: int = 64,
        pictures: int = 5,
        classes: int = 2,
        trait: Trait = "colour",
        made_up: bool = True,
        said: bool = False,
        shown: bool = True,
    ):
        super().__init__(first_seed, count)
        self.canvas, self.pictures, self.classes, self.trait = canvas, pictures, classes, trait
        self.made_up, self.said, self.shown = made_up, said, shown
        self.named(0)  # wrong arguments fail here

    def named(self, index: int) -> tuple[Named, ...]:
        """The pictures at an index with their words, for a judge."""
        return name_scenes(
            self.seed(index),
            pictures=self.pictures,
            classes=self.classes,
            trait=self.trait,
            canvas=self.canvas,
            made_up=self.made_up,
        )

    def __getitem__(self, index: int) -> Document:
        return tuple(segment for named in self.named(index) for segment in self._told(named))

    def _told(self, named: Named) -> Document:
        words = f"{named.truth} {named.word}" if self.said else named.word
        text = Segment("text", words, learn=named.known)
        if not self.shown:
            return (text,)
        return Segment("image", Image.fromarray(render(named.scene)), learn=False), text
