"""Few-shot naming: made-up words, defined only by the examples of a document. Knows no tokenizer.

The meaning of a word is sampled for each document, so it cannot be stored in weights: a model that names
the last image must read it off the images and words before. Documents with the true words teach the classes.
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
"""Traits that a word may name, with their values."""


class NamedScene(NamedTuple):
    """A scene of one object, its word, whether the word is known (true, or used before), the true word."""

    scene: Scene
    word: str
    known: bool
    truth: str


def name_scenes(
    seed: int,
    *,
    images: int,
    classes: int = 2,
    trait: Trait = "colour",
    canvas: int = 64,
    made_up: bool = True,
) -> tuple[NamedScene, ...]:
    """The scenes of a seed with their words: a pure function of its arguments.

    `classes` values of the trait get a word each, or keep their own without `made_up`. The class of each
    image is drawn independently and uniformly, so that neither order nor earlier words predict the next. The
    rest of a scene (place, size, and the other trait) is that of a scene of the seed's split.

    Raises:
        ValueError: the trait is unknown, it has fewer values than classes, or there are fewer than two
            classes or no image.
    """
    if trait not in TRAITS:
        raise ValueError(f"trait must be one of {', '.join(TRAITS)}, got {trait!r}")
    values = TRAITS[trait]
    if not 2 <= classes <= len(values) or images < 1:
        raise ValueError(
            f"classes must be 2 to {len(values)} of {trait} and pictures at least 1, "
            f"got classes={classes}, pictures={images}"
        )
    rng = Random(f"naming of {seed}")
    chosen, words = _sample_distinct(rng, values, classes), _sample_distinct(rng, WORDS, classes)
    if not made_up:
        words = chosen
    result: list[NamedScene] = []
    for _ in range(images):
        number = int(rng.random() * classes)
        scene = _sample_scene_with(rng, seed, trait, chosen[number], canvas)
        known = not made_up or words[number] in {other.word for other in result}
        result.append(NamedScene(scene, words[number], known, chosen[number]))
    return tuple(result)


def _sample_scene_with(rng: Random, seed: int, trait: Trait, value: str, canvas: int) -> Scene:
    """Samples scenes of one object from the seed's split until one has this value."""
    for _ in count():
        scene = sample_scene(split_of(seed) + int(rng.random() * SPLIT_SEEDS), canvas=canvas, kind="one")
        if getattr(scene.objects[0], trait) == value:
            break
    return scene


def _sample_distinct(rng: Random, options: tuple[str, ...], number: int) -> list[str]:
    """As `rng.sample`, but the same in every version of Python."""
    remaining = list(options)
    return [remaining.pop(int(rng.random() * len(remaining))) for _ in range(number)]


def attainable_accuracy(examples: int, *, classes: int) -> float:
    """The best expected accuracy, 0..1, of naming an image after a number of examples.

    A class among the examples is known. Any other class has one of the words that the examples do not use,
    and can only be guessed.

    Example:
        >>> [round(attainable_accuracy(k, classes=2), 3) for k in (0, 1, 2, 4)]
        [0.062, 0.533, 0.767, 0.942]
    """
    unseen = (1 - 1 / classes) ** examples
    used = [1.0]  # probability that 0, 1, … other classes occur, given that the image's class does not
    for _ in range(examples):
        repeat = [p * number / (classes - 1) for number, p in enumerate(used)]
        new = [p - repeated for p, repeated in zip(used, repeat, strict=True)]
        used = [a + b for a, b in zip([*repeat, 0.0], [0.0, *new], strict=True)]
    guess = sum(p / (len(WORDS) - number) for number, p in enumerate(used) if p)
    return 1 - unseen + unseen * guess


class ShapesNaming(Seeded):
    """`count` documents of consecutive seeds: image, word, image, word, … for images of one object.

    Only words are learned, and only those that an earlier image of the document explains: the first word of a
    class is a guess that would teach nothing.

    Args:
        first_seed: TRAIN_SEED, VALIDATION_SEED or TEST_SEED, or a seed after it; see Seeded.
        count: number of documents.
        canvas: side of an image, in pixels.
        pictures: images per document.
        classes: words per document.
        trait: named by the words, "colour" or "shape".
        made_up: whether the words are made up, or the true ones.
        said: whether the true word comes first, as in "red dax": the model describes before it names.
        shown: whether documents have their images; words alone are a cheap lesson in looking up a word.
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
        self.named_scenes(0)  # raises for invalid arguments

    def named_scenes(self, index: int) -> tuple[NamedScene, ...]:
        """The scenes at an index with their words, for a judge."""
        return name_scenes(
            self.seed(index),
            images=self.pictures,
            classes=self.classes,
            trait=self.trait,
            canvas=self.canvas,
            made_up=self.made_up,
        )

    def __getitem__(self, index: int) -> Document:
        return tuple(segment for named in self.named_scenes(index) for segment in self._segments(named))

    def _segments(self, named: NamedScene) -> Document:
        words = f"{named.truth} {named.word}" if self.said else named.word
        text = Segment("text", words, learn=named.known)
        if not self.shown:
            return (text,)
        return Segment("image", Image.fromarray(render(named.scene)), learn=False), text
