"""Examples to start with: prompts that the model knows, scenes of the shapes world."""

from collections.abc import Sequence

from PIL import Image

from unitok.api.unitok import UniTok
from unitok.page.model_view import shown
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
"""Objects with their centres, in shares of the picture; the questions are about the first scene."""


def prompts(model: UniTok) -> list[str]:
    """Prompts that the model knows, and some of the built-in world."""
    return list(dict.fromkeys([*model.example_prompts, *PROMPTS]))[:4]


def questions(model: UniTok) -> list[str]:
    """Questions of the built-in world; those about places where the model has some."""
    return [*QUESTIONS, *(PLACES if "box" in model.codec.modalities else ())]


def pictures(model: UniTok) -> list[Image.Image]:
    """Scenes at the size of the model's pictures, enlarged for people."""
    image = model.codec.modalities["image"]
    rows, columns = image.shape or (6, 6)
    canvas = max(48, min(rows, columns) * image.tokenizer.cell)
    return [shown(model, Image.fromarray(render(_scene(objects, canvas)))) for objects in SCENES]


def _scene(objects: Sequence[tuple], canvas: int) -> Scene:
    placed = (SceneObject(*look, round(x * canvas), round(y * canvas)) for *look, x, y in objects)
    return Scene(tuple(placed), canvas)
