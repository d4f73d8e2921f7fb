"""Examples to start with: words that the model learned, scenes of the shapes world."""

from collections.abc import Sequence

from PIL import Image

from unitok.api.unitok import UniTok
from unitok.page.model_view import enlarged_view
from unitok.worlds.shapes.pixels import render
from unitok.worlds.shapes.world import Scene, SceneObject

PROMPTS = (
    "a large red star",
    "a small blue circle left of a large green square",
    "a large yellow triangle at the top left",
)
QUESTIONS = ("what color is the star?", "how many objects are there?")
PLACES = ("where is the large red star?", "point to the large red star")
INSTRUCTIONS = ("make the star blue", "remove the star")
SCENES = (
    (("star", "red", "large", 0.3, 0.32), ("circle", "blue", "small", 0.74, 0.7)),
    (("triangle", "yellow", "large", 0.66, 0.3),),
    (("square", "green", "large", 0.28, 0.7), ("circle", "purple", "small", 0.72, 0.3)),
)
"""Objects with their centres, as fractions of the image; the questions are about the first scene."""


def prompts(model: UniTok) -> list[str]:
    """The model's own example prompts, and those of its training data, or some of the shapes world."""
    return list(dict.fromkeys([*model.example_prompts, *_words(model, "drawings", otherwise=PROMPTS)]))[:4]


def questions(model: UniTok) -> list[str]:
    """Questions of the training data, or of the shapes world; about places only for models with boxes."""
    places = PLACES if "box" in model.codec.modalities else ()
    return _words(model, "questions", "boxes", otherwise=(*QUESTIONS, *places))


def instructions(model: UniTok) -> list[str]:
    """Instructions of the training data, or of the shapes world."""
    return _words(model, "edits", otherwise=INSTRUCTIONS)


def _words(model: UniTok, *tasks: str, otherwise: Sequence[str]) -> list[str]:
    """The prompts of the examples that the model's list has of some tasks, else others."""
    examples = (example for task in model.tasks or () if task.name in tasks for example in task.examples)
    return list(dict.fromkeys(example.prompt for example in examples if example.prompt)) or list(otherwise)


def scenes(model: UniTok) -> list[Image.Image]:
    """Render scenes at the size of the model's images, enlarged for people."""
    modality = model.codec.image
    rows, columns = modality.shape or (6, 6)
    canvas = max(48, min(rows, columns) * modality.tokenizer.cell)
    return [enlarged_view(model, Image.fromarray(render(_scene(objects, canvas)))) for objects in SCENES]


def _scene(objects: Sequence[tuple], canvas: int) -> Scene:
    placed = (SceneObject(*look, round(x * canvas), round(y * canvas)) for *look, x, y in objects)
    return Scene(tuple(placed), canvas)
