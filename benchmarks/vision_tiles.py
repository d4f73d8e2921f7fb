"""Fine detail: scenes of 96 x 96 pixels with things of 4 and 6, read as a thumbnail, as tiles, as codes.

python benchmarks/vision_tiles.py [--minutes 15 | --steps 400] [--arms tiles …] [--tile 48] [--merge 2]
                                 [--json FILE]

Small transformers learn the captions of the same scenes in the same order; they differ in what they read of
an image alone: a thumbnail of 48 x 48 pixels, the thumbnail and four tiles of that size (as pixels or as
latents of the tokenizer), or codes of 8 x 8 pixels by a tokenizer that is trained on these scenes first.
With `--tile 32` a thumbnail is of 32 x 32 pixels, and tiles are nine. `--merge 2` makes one vector of four
neighbours, so that the thumbnail and four tiles are little more than a thumbnail was. Measured on the same
unseen scenes.
"""

import statistics
import tempfile
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import torch
from compare import Row, command_line, finish
from PIL import Image
from short_run import minutes_of_processor, short_run
from vision import train

from unitok.data.codes.build_codec import CodecConfig, train_text_tokenizer
from unitok.data.document_data import DocumentData
from unitok.data.image_data import ImageData
from unitok.data.tasks import TaskConfig
from unitok.document import Document, Segment
from unitok.modalities.vision import VisionConfig
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.models.transformer import TransformerSizes
from unitok.models.vision.bridge import Projector
from unitok.models.vision.encoder import Latents, Patches
from unitok.training.loss_config import PixelLossConfig
from unitok.training.optimizers import OptimizerConfig
from unitok.training.tokenizer import TokenizerTraining
from unitok.worlds.seeded import TEST_SEED, VALIDATION_SEED
from unitok.worlds.shapes.judge import caption_is_true
from unitok.worlds.shapes.pixels import coverage
from unitok.worlds.shapes.scenes import KINDS, ShapesSource
from unitok.worlds.shapes.world import BACKGROUND, COLOURS, Scene

CANVAS, CELL = 96, 8
RENDERED_AS = {"small": 18, "large": 16}
"""The canvas on which a thing of a size is 4 or 6 pixels wide."""
SIZES = TransformerSizes(
    width=96, layers=3, heads=3, kv_heads=3, head_width=32, hidden=288, rope_base=100.0, max_length=256
)
ARMS = ("thumbnail", "tiles", "tiles by latents", "codes")
BARS = {"thumbnail": 0.20, "codes": 0.05}
"""By how much tiles must be right more often."""


class TinyThings(ShapesSource):
    """The scenes of ShapesSource, with things of 4 and 6 pixels; images are shown, captions learned."""

    def __getitem__(self, index: int) -> Document:
        scene, text = self.captioned_scene(index)
        image = Image.fromarray(render(scene, Random(self.seed(index))))
        return Segment("text", text), Segment("image", image, learn=False)


def render(scene: Scene, rng: Random) -> np.ndarray:
    """A scene whose things are smaller than their places allow, and lie at random parts of a pixel: on whole
    pixels alone, a thumbnail of each thing would be one of few patterns, which are learned by heart."""
    image = np.full((scene.canvas, scene.canvas, 3), BACKGROUND, np.float32)
    for item in scene.objects:
        share = stamp(item.shape, item.size, rng.randrange(4) / 4, rng.randrange(4) / 4)
        half = len(share) // 2
        top, left = int(item.y) - half, int(item.x) - half
        region = image[top : top + 2 * half, left : left + 2 * half]
        region += share * (np.array(COLOURS[item.colour], np.float32) - region)
    return image.round().astype(np.uint8)


@cache
def stamp(shape: str, size: str, dx: float, dy: float) -> np.ndarray:
    """The share of each pixel that a thing covers whose origin is (dx, dy) from a pixel's corner."""
    return coverage(shape, size, RENDERED_AS[size], dx=dx, dy=dy)[..., None]


def vision_of(arm: str, tile: int, merge: int) -> VisionConfig | None:
    """What an arm sees with tiles of so many pixels a side, merge x merge neighbours in one vector; None for
    codes."""
    if arm == "codes":
        return None
    by_latents, size = arm == "tiles by latents", (tile, tile)
    return VisionConfig(
        Latents(size) if by_latents else Patches(CELL, size),
        Projector(hidden=256, merge=merge),
        precompute=by_latents,  # pixels take less memory as they are
        tiles=1 if arm == "thumbnail" else (CANVAS // tile) ** 2,
    )


def source(kind: str, count: int, first_seed: int = 0) -> TinyThings:
    return TinyThings(first_seed, count, CANVAS, kind)


def train_tokenizers(folder: Path, *, kind: str, scenes: int, minutes: float) -> None:
    """Train the image tokenizer by the demo's recipe, and the text tokenizer."""
    torch.manual_seed(0)
    data = ImageData(
        train=source(kind, scenes), val=source(kind, 64, VALIDATION_SEED), size=(CANVAS, CANVAS), crop=32
    )
    module = TokenizerTraining(
        Patch(CELL, channels=128, head_channels=512),
        EMACodebook(512, 16, decay=0.95, revive_below=0.1),
        optimizer=OptimizerConfig(lr=3e-3, muon_lr=0.04, warmup_steps=50, schedule="linear"),
        loss=PixelLossConfig(foreground_weight=9.0),
        settle=0.08,
    )
    with tempfile.TemporaryDirectory() as run:
        short_run(module, data, run, minutes_of_processor(minutes))
    module.result.save_pretrained(folder / "image_tokenizer")
    train_text_tokenizer(data.train, folder / "tokenizer.json", size=320)


def data_of(
    arm: str, tokenizers: Path, *, tile: int, merge: int, kind: str, scenes: int, seed: int
) -> DocumentData:
    """Captions of scenes, and how their images are read."""
    cells = CANVAS // CELL
    codec = CodecConfig(
        image_tokenizer=str(tokenizers / "image_tokenizer"),
        text_tokenizer=str(tokenizers / "tokenizer.json"),
        image_shape=(cells, cells),
        vision=vision_of(arm, tile, merge),
    )
    return DocumentData(
        train=source(kind, scenes),
        val=source(kind, 64, VALIDATION_SEED),
        codec=codec,
        task=TaskConfig("caption", condition_dropout=0.0),
        row_length=224,
        batch_size=32,
        seed=seed,
    )


def accuracy(model, *, kind: str, count: int) -> float:
    """The share of unseen scenes of which the model writes a true caption."""
    scenes = source(kind, count, TEST_SEED)
    captions = model.caption([scenes[i][1].content for i in range(count)])
    return statistics.mean(caption_is_true(text, scenes.scene(i)) for i, text in enumerate(captions))


def rows(found: dict[str, list[dict[str, float]]]) -> list[Row]:
    """The mean of each arm over the seeds, and by how much tiles are better."""
    means = {arm: statistics.mean(run["right"] for run in runs) for arm, runs in found.items()}
    table = []
    for arm, runs in found.items():
        said = ", ".join(f"{run['right']:.3f} after {run['steps']} steps" for run in runs)
        table.append(Row(f"{arm}: captions right", means[arm], "", None, None, True, said))
    for arm in BARS if "tiles" in means else ():
        if arm in means:
            more = means["tiles"] - means[arm]
            table.append(Row(f"tiles over {arm}", more, "", None, BARS[arm], more >= BARS[arm]))
    return table


def main() -> None:
    parser = command_line(__doc__, threads=1)
    add = parser.add_argument
    add("--minutes", type=float, default=15, help="of processor time of each run (default 15)")
    add("--steps", type=int, help="of each run, in place of minutes")
    add(
        "--tokenizer-minutes",
        type=float,
        default=3,
        help="of processor time of the image tokenizer (default 3)",
    )
    add("--seeds", type=int, nargs="+", default=[0], help="of weights and order (default 0)")
    add("--arms", nargs="+", default=ARMS, choices=ARMS, help="what is read of an image")
    add("--tile", type=int, default=48, choices=(48, 32, 24), help="pixels a side of a tile (default 48)")
    add("--merge", type=int, default=1, choices=(1, 2), help="a side of what one vector joins (default 1)")
    add("--kind", default="three", choices=KINDS, help="of the scenes (default three: things in one)")
    add("--scenes", type=int, default=20_000, help="to learn from (default 20,000)")
    add("--count", type=int, default=256, help="scenes of the test set (default 256)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    budget = {"max_steps": options.steps} if options.steps else minutes_of_processor(options.minutes)
    shared = {"kind": options.kind, "scenes": options.scenes}
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        train_tokenizers(Path(folder), minutes=options.tokenizer_minutes, **shared)
        for arm in options.arms:
            for seed in options.seeds:
                seen = {"tile": options.tile, "merge": options.merge}
                data = data_of(arm, Path(folder), seed=seed, **seen, **shared)
                model, figures = train(data, budget, sizes=SIZES, seed=seed)
                figures["right"] = accuracy(model, kind=options.kind, count=options.count)
                print(f"{arm}, seed {seed}: {figures}", flush=True)
                found.setdefault(arm, []).append(figures)
    finish(rows(found), options.json)


if __name__ == "__main__":
    main()
