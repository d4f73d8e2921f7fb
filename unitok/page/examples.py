"""What a page shows to begin with: prompts that the model knows, and pictures of the built-in world."""

from PIL import Image

from unitok.bundle import UniTok
from unitok.data.shapes import VALIDATION_SEED, render, sample_scene
from unitok.page.sight import shown

PROMPTS = (
    "a large red star",
    "a small blue circle left of a large green square",
    "a large yellow triangle at the top left",
)
QUESTIONS = ("what color is the star?", "how many objects are there?")
PLACES = ("where is the large red star?", "point to the large red star")
INSTRUCTIONS = ("make the star blue", "remove the star")
SCENES = (0, 5, 7)


def prompts(model: UniTok) -> list[str]:
    """Prompts that the model knows, and some of the built-in world."""
    return list(dict.fromkeys([*model.example_prompts, *PROMPTS]))[:4]


def questions(model: UniTok) -> list[str]:
    """Questions of the built-in world; those about places where the model has some."""
    return [*QUESTIONS, *(PLACES if "box" in model.codec.modalities else ())]


def pictures(model: UniTok) -> list[Image.Image]:
    """Scenes that training never saw, at the size of the model's pictures, enlarged for people."""
    image = model.codec.modalities["image"]
    rows, columns = image.shape or (6, 6)
    canvas = max(48, min(rows, columns) * image.tokenizer.cell)
    scenes = [sample_scene(VALIDATION_SEED + seed, canvas=canvas) for seed in SCENES]
    return [shown(model, Image.fromarray(render(scene))) for scene in scenes]
