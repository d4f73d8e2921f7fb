"""How often a trained model draws right: one drawing, the best of eight, a hidden object drawn anew.

python benchmarks/drawing.py --model DIR [--count 200] [--json FILE]

Scenes are the demo's kind, unseen. Best of eight keeps the drawing from which the prompt is likeliest. Of
each scene one object is hidden, with a cell around it, and drawn anew from the whole scene's caption.
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
BARS = {"best": 2.0, "inpainted": 0.9, "kept": 1.0}


def share_right(pictures: list[Image.Image], captions: list[str]) -> float:
    """Pictures that show what their captions say, by the judge."""
    right = [image_is_right(np.asarray(p), text) for p, text in zip(pictures, captions, strict=True)]
    return sum(right) / len(right)


def hole(scene: Scene, cell: int) -> Image.Image:
    """White over the scene's first object and a cell around it."""
    mask = Image.new("L", (scene.canvas, scene.canvas))
    left, top, right, bottom = box_of(scene.objects[0], scene.canvas).pixels(scene.canvas, scene.canvas)
    ImageDraw.Draw(mask).rectangle((left - cell, top - cell, right + cell, bottom + cell), fill=255)
    return mask


def share_kept(model: UniTok, before: list[Image.Image], masks: list[Image.Image], after: list) -> float:
    """Pictures whose pixels outside their holes' cells are those of before."""
    cell, kept = model.codec.modalities["image"].tokenizer.cell, []
    for old, mask, new in zip(before, masks, after, strict=True):
        free = free_cells(fit_mask(mask, old, new.size), cell).repeat(cell, 0).repeat(cell, 1)
        kept.append(np.array_equal(np.asarray(old)[~free], np.asarray(new)[~free]))
    return sum(kept) / len(kept)


def measure(model: UniTok, *, count: int, **settings: float | None) -> list[Row]:
    """All rows; `settings` as of `draw`, None is the model's own default."""
    image = model.codec.modalities["image"]
    canvas = image.shape[0] * image.tokenizer.cell
    source = ShapesSource(first_seed=TEST_SEED, count=count, canvas=canvas, kind="demo")
    captions = [source[i][0].content for i in range(count)]
    pictures = [source[i][1].content for i in range(count)]
    once = share_right(model.draw(captions, seed=range(count), **settings), captions)
    best = share_right(model.draw(captions, seed=range(count), best_of=BEST_OF, **settings), captions)
    masks = [hole(source.scene(i), image.tokenizer.cell) for i in range(count)]
    redrawn = model.inpaint(pictures, masks, captions, **settings)
    again = share_right(redrawn, captions)
    chosen = share_right(model.inpaint(pictures, masks, captions, best_of=BEST_OF, **settings), captions)
    halved, kept = (1 - once) / max(1e-9, 1 - best), share_kept(model, pictures, masks, redrawn)
    return [
        Row("right, one drawing", once, "share", None, None, True),
        Row(f"right, the best of {BEST_OF}", best, "share", halved, BARS["best"], halved >= BARS["best"],
            "times less error"),
        Row("right, a hidden object drawn anew", again, "share", again / once, BARS["inpainted"],
            again >= BARS["inpainted"] * once, "of one drawing's"),
        Row(f"the same, the best of {BEST_OF}", chosen, "share", chosen / once, BARS["inpainted"],
            chosen >= BARS["inpainted"] * once, "of one drawing's"),
        Row("outside of the hole nothing changed", kept, "share", None, BARS["kept"], kept >= BARS["kept"]),
    ]  # fmt: skip


def main() -> None:
    parser = command_line(__doc__, threads=1)
    parser.add_argument("--model", default="runs/demo/model", metavar="DIR", help="of rendered scenes")
    parser.add_argument("--count", type=int, default=200, help="scenes (default 200)")
    parser.add_argument("--temperature", type=float, help="default: the model's own")
    parser.add_argument("--guidance-scale", type=float, help="1 is none; default: the model's own")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = {"temperature": options.temperature, "guidance_scale": options.guidance_scale}
    model = UniTok.from_pretrained(options.model)
    finish(measure(model, count=options.count, **settings), options.json)


if __name__ == "__main__":
    main()
