"""A decoding step with cross-attention or visual updates, against images that are read in the sequence.

python benchmarks/vision_decode.py [--size 100M] [--dtype bfloat16] [--compile] [--every 1 2 4] [--json FILE]

Random models of one size are shown the same image, as as many vectors, and then decode codes. All are timed
in turn, in processor time; the bar is 1.15 times the step of the model that reads the vectors in its
sequence. Of the prompt's places the rows tell, too.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from compare import Row, alternate, command_line, finish
from decode import SIDE, SIZES, model_of
from PIL import Image

from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.generation.engine import Engine
from unitok.modalities.vision import VisionConfig, open_vision
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.models.transformer_config import BlockVariant
from unitok.models.vision.encoder import Patches
from unitok.models.vision.resampler import Resampler
from unitok.tokens.codec import Codec

BAR, STEPS, PIXELS = 1.15, 32, 128


@dataclass(frozen=True)
class Machine:
    """What is decoded how: size and dtype of the models, vectors of an image, rows of a step."""

    size: str
    dtype: torch.dtype
    queries: int
    rows: int
    compile: bool

    def model(self, variant: BlockVariant) -> UniTok:
        """A random model that sees by this variant."""
        modalities = list(model_of("tiny", text=512, image=512, dtype=self.dtype).codec.modalities.values())
        bridge = Resampler(queries=self.queries, layers=1, heads=2, head_width=32)
        vision = VisionConfig(Patches(8), bridge, one_place=bool(variant.cross_every))
        codec = Codec(modalities, positions="sequential", vision=open_vision(vision, modalities))
        sizes = TransformerSizes(max_length=1024, variant=variant, **SIZES[self.size])
        model = Transformer(TransformerConfig(sizes, codec.vocabulary.size), codec.build_bridge)
        return UniTok(model.to(self.dtype), codec)

    def decoding(self, model: UniTok) -> tuple[Callable[[], None], int]:
        """A function that decodes further codes after an image and a text, and the prompt's places."""
        pixels = np.random.default_rng(0).integers(0, 255, (PIXELS, PIXELS, 3), np.uint8)
        prompt = (Segment("image", Image.fromarray(pixels)), Segment("text", "what is here?"))
        engine = Engine(model.model, model.codec, batch_size=self.rows, compile=self.compile)
        for seed in range(self.rows):
            engine.submit(model.request(prompt, target="image", guidance_scale=1.0, seed=seed))
        for _ in range(2):  # the prompt, and the first step that is compiled
            engine.step()

        def decode() -> None:
            for _ in range(STEPS):
                engine.step()

        return decode, len(model.codec.join(model.codec.encode_prompts([prompt])[0]))


def compare(machine: Machine, ways: dict[str, BlockVariant], *, rounds: int) -> list[Row]:
    """Each way to see against reading in the sequence."""
    plain, places = machine.decoding(machine.model(BlockVariant()))
    found = []
    for name, variant in ways.items():
        decode, own_places = machine.decoding(machine.model(variant))
        seconds = alternate(decode, plain, rounds=rounds, clock=time.process_time)
        plain, _ = machine.decoding(machine.model(BlockVariant()))
        ratio = seconds.ours / seconds.theirs
        said = f"{ratio:.2f} times; {own_places} places of a prompt, against {places}"
        step = 1000 * seconds.ours / STEPS
        found.append(Row(name, step, "ms a step", 1 / ratio, 1 / BAR, ratio <= BAR, said))
    return found


def main() -> None:
    parser = command_line(__doc__, rounds=5, threads=1)
    add = parser.add_argument
    add("--size", choices=SIZES, default="10M", help="weights without embeddings (default 10M)")
    add("--dtype", default="float32", help="float32 or bfloat16")
    add("--queries", type=int, default=64, help="vectors of an image (default 64)")
    add("--rows", type=int, default=1, help="sequences that are decoded at once (default 1)")
    add("--every", type=int, nargs="+", default=[4, 2, 1], help="cross_every of the models (default 4 2 1)")
    add("--rank", type=int, default=64, help="of visual updates (default 64)")
    add("--compile", action="store_true", help="compile the steps")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    most = (options.rounds + 1) * STEPS + 2
    if most > SIDE * SIDE:
        parser.error(f"rounds must be at most {SIDE * SIDE // STEPS - 2}, got {options.rounds}")
    dtype = getattr(torch, options.dtype)
    machine = Machine(options.size, dtype, options.queries, options.rows, options.compile)
    ways = {f"cross-attention, every {every}.": BlockVariant(cross_every=every) for every in options.every}
    ways[f"visual updates of rank {options.rank}"] = BlockVariant(visual_rank=options.rank)
    finish(compare(machine, ways, rounds=options.rounds), options.json)


if __name__ == "__main__":
    main()
