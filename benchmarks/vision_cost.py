"""What an encoder costs: seconds of a training step, and of reading its batch, with and without `precompute`.

python benchmarks/vision_cost.py [--steps 24] [--threads 1] [--tokenizers DIR]

A small transformer learns the captions of 64 rendered scenes of 48 x 48 pixels a step, read as codes, or as
vectors of an encoder that runs once per image, when a document is read, or in every step. Reading includes
rendering, and the codes of the image tokenizer where an image has some; a later epoch reads what is kept.
Medians of processor time.
"""

import statistics
import tempfile

import torch
from compare import Row, command_line, finish
from short_run import Clock, short_run
from vision import ARMS, SIZES, Arm, data_of, lesson_of

from unitok.modalities.vision import VisionConfig
from unitok.models.image_tokenizer.vit import ViT
from unitok.models.vision.bridge import Projector
from unitok.models.vision.encoder import Latents, Network, Patches
from unitok.training.transformer import TransformerTraining
from unitok.training.weights.init_from import StartConfig

WARM_UP = 4
BRIDGE = Projector(hidden=256)
VIT = Network(ViT(width=128, depth=4, heads=4, hidden=512), channels=128)
SEEN = {
    "codes": None,
    "pixels, in every step": VisionConfig(Patches(8), BRIDGE, precompute=False),
    "pixels, precomputed": VisionConfig(Patches(8), BRIDGE),
    "latents, in every step": VisionConfig(Latents(), BRIDGE, precompute=False),
    "latents, precomputed": VisionConfig(Latents(), BRIDGE),
    "a ViT of width 128 and depth 4, trained": VisionConfig(VIT, BRIDGE, precompute=False),
}


def cost(name: str, *, steps: int, tokenizers: str) -> tuple[float, float]:
    """Median seconds of a step, and of reading its batch."""
    ARMS[name] = Arm(SEEN[name])
    lesson = lesson_of("captions", scenes=20_000, count=64, easy_vqa="")
    parts = ("encoder", "bridge", "rows", "words", "blocks") if "trained" in name else None
    torch.manual_seed(0)
    module, clock = TransformerTraining(SIZES, start=StartConfig(parts=parts)), Clock()
    with tempfile.TemporaryDirectory() as folder:
        budget = {"max_steps": WARM_UP + steps, "callbacks": [clock]}
        short_run(module, data_of(name, lesson, tokenizers=tokenizers, seed=0), folder, budget)
    return statistics.median(clock.steps[WARM_UP:]), statistics.median(clock.before[WARM_UP:])


def main() -> None:
    parser = command_line(__doc__, threads=1)
    parser.add_argument("--steps", type=int, default=24, help="that are measured of each arm (default 24)")
    parser.add_argument(
        "--tokenizers", default="runs/demo", help="folder with tokenizer/ and codes/ (default runs/demo)"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = []
    for name in SEEN:
        step, reading = cost(name, steps=options.steps, tokenizers=options.tokenizers)
        found.append(Row(name, step, "s a step", None, None, True, f"{reading:.3f} s reading its batch"))
    finish(found, options.json)


if __name__ == "__main__":
    main()
