"""Text-to-image accuracy of a trained model: one drawing, the best of eight, and inpainting.

python benchmarks/drawing.py --model DIR [--count 200] [--json FILE]

Scenes are unseen ones of the demo's kind. Best of eight reranks the samples by log p(prompt given image). For
inpainting, one object of each scene is hidden, with a cell around it, and redrawn from the scene's caption.
"""

import numpy as np
import torch
from compare import Row, command_line, finish
from PIL import Image, ImageDraw

from unitok import UniTok
from unitok.modalities.image_masks import fit_mask, free_cells
from unitok.worlds.seeded import TEST_SEED
from unitok.worlds.shapes.judge import image_is_right
from unitok.worlds.shapes.questions import box_of
from unitok.worlds.shapes.scenes import ShapesSource
from unitok.worlds.shapes.world import Scene

BEST_OF = 8
BARS = {"best": 2.0, "inpainted": 0.9, "unchanged": 1.0}


def accuracy(images: list[Image.Image], captions: list[str]) -> float:
    """Share of images that show their captions, by the judge."""
    right = [image_is_right(np.asarray(i), text) for i, text in zip(images, captions, strict=True)]
    return sum(right) / len(right)


def hole(scene: Scene, cell: int) -> Image.Image:
    """A mask that is white over the scene's first object and a cell around it."""
    mask = Image.new("L", (scene.canvas, scene.canvas))
    left, top, right, bottom = box_of(scene.objects[0], scene.canvas).pixels(scene.canvas, scene.canvas)
    ImageDraw.Draw(mask).rectangle((left - cell, top - cell, right + cell, bottom + cell), fill=255)
    return mask


def share_unchanged(model: UniTok, before: list[Image.Image], masks: list[Image.Image], after: list) -> float:
    """Share of images whose pixels outside their hole's cells are unchanged."""
    cell, unchanged = model.codec.modalities["image"].tokenizer.cell, []
    for old, mask, new in zip(before, masks, after, strict=True):
        free = free_cells(fit_mask(mask, old, new.size), cell).repeat(cell, 0).repeat(cell, 1)
        unchanged.append(np.array_equal(np.asarray(old)[~free], np.asarray(new)[~free]))
    return sum(unchanged) / len(unchanged)


def measure(model: UniTok, *, count: int, **settings: float | None) -> list[Row]:
    """All rows; `settings` as of `draw`, None for the model's default."""
    image = model.codec.modalities["image"]
    canvas = image.shape[0] * image.tokenizer.cell
    source = ShapesSource(first_seed=TEST_SEED, count=count, canvas=canvas, kind="demo")
    captions = [source[i][0].content for i in range(count)]
    images = [source[i][1].content for i in range(count)]
    once = accuracy(model.draw(captions, seed=range(count), **settings), captions)
    best = accuracy(model.draw(captions, seed=range(count), best_of=BEST_OF, **settings), captions)
    masks = [hole(source.scene(i), image.tokenizer.cell) for i in range(count)]
    inpainted = model.inpaint(images, masks, captions, **settings)
    redrawn = accuracy(inpainted, captions)
    best_redrawn = accuracy(model.inpaint(images, masks, captions, best_of=BEST_OF, **settings), captions)
    error_ratio = (1 - once) / max(1e-9, 1 - best)
    unchanged = share_unchanged(model, images, masks, inpainted)
    return [
        Row("right, one drawing", once, "share", None, None, True),
        Row(f"right, the best of {BEST_OF}", best, "share", error_ratio, BARS["best"],
            error_ratio >= BARS["best"], "times less error"),
        Row("right, a hidden object drawn anew", redrawn, "share", redrawn / once, BARS["inpainted"],
            redrawn >= BARS["inpainted"] * once, "of one drawing's"),
        Row(f"the same, the best of {BEST_OF}", best_redrawn, "share", best_redrawn / once,
            BARS["inpainted"], best_redrawn >= BARS["inpainted"] * once, "of one drawing's"),
        Row("outside of the hole nothing changed", unchanged, "share", None, BARS["unchanged"],
            unchanged >= BARS["unchanged"]),
    ]  # fmt: skip


def main() -> None:
    parser = command_line(__doc__, threads=1)
    parser.add_argument("--model", default="runs/demo/model", metavar="DIR", help="model of rendered scenes")
    parser.add_argument("--count", type=int, default=200, help="scenes (default 200)")
    parser.add_argument("--temperature", type=float, help="default: the model's own")
    parser.add_argument("--guidance-scale", type=float, help="1 for none; default: the model's own")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = {"temperature": options.temperature, "guidance_scale": options.guidance_scale}
    model = UniTok.from_pretrained(options.model)
    finish(measure(model, count=options.count, **settings), options.json)


if __name__ == "__main__":
    main()
