"""Images drawn by the engine against transformers' Qwen3ForCausalLM.generate with the same weights.

python benchmarks/decode.py [--batches 1 4 16] [--dtype bfloat16] [--compile] [--json FILE]

Both sides sample 256 codes per image at temperature 1, in one process, in turn. The bars against a growing
cache are higher with 65k ids, since we compute only the legal ones. The peer opens the exported folder and
constrains decoding in two ways: with the folder's grammar processor, and with a constant mask, the cheapest
way. Guidance is its `guidance_scale`. With `--compile` our steps are compiled, and the peer, with the mask,
runs with its growing cache and with its static cache, compiled. The floors are the times of the same linear
layers alone, by torch's kernel, and of reading their weights once per code. The last rows are requests of all
kinds, batched and one after another.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from compare import Row, alternate, command_line, finish
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, CompileConfig, LogitsProcessor

from unitok.api.unitok import UniTok
from unitok.document import Codes, Segment
from unitok.generation.engine import Engine
from unitok.generation.requests import Request
from unitok.generation.sampling import Sampling
from unitok.interop.grammar_processor import Grammar
from unitok.interop.transformers_export import export
from unitok.modalities.image import ImageModality
from unitok.modalities.text import TextModality
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.tokens.codec import Codec

SIZES = {
    "tiny": {"width": 128, "layers": 4, "heads": 4, "kv_heads": 2, "head_width": 32, "hidden": 384},
    "10M": {"width": 320, "layers": 8, "heads": 5, "kv_heads": 5, "head_width": 64, "hidden": 960},
    "100M": {"width": 768, "layers": 12, "heads": 12, "kv_heads": 12, "head_width": 64, "hidden": 2304},
}
SIDE = 16  # cells
WORDS = 8  # ids of a prompt
Clock = Callable[[], float]
SEEDS = range(4)  # of each prompt, for guesses
GUESSES = (1, 2, 4, 8, 16)


def model_of(size: str, *, text: int, image: int, dtype: torch.dtype, max_length: int = 1024) -> UniTok:
    """A random model with these numbers of text and image ids."""
    torch.manual_seed(0)
    tokenizer = ImageTokenizer(ImageTokenizerConfig(Patch(channels=8), EMACodebook(image, 8)))
    codec = Codec(
        [_text(text), ImageModality(tokenizer, shape=(SIDE, SIDE))],
        positions="sequential",
    )
    config = TransformerConfig(TransformerSizes(max_length=max_length, **SIZES[size]), codec.vocabulary.size)
    return UniTok(Transformer(config).to(dtype), codec)


def _text(size: int) -> TextModality:
    """A text tokenizer of bytes, and of tokens that no merge produces."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"{letters[0]}{i}" for i in range(size - len(letters)))]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return TextModality(tokenizer)


class Mask(LogitsProcessor):
    """Allows only the codes of an image."""

    def __init__(self, ids: range, total: int):
        self.mask = torch.full((total,), -torch.inf)
        self.mask[ids.start : ids.stop] = 0

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        return scores + self.mask


def prompts(count: int) -> list[list[Codes]]:
    """Texts of equal length."""
    return [[Codes("text", (torch.arange(WORDS) * 7 + i) % 256, (WORDS,))] for i in range(count)]


def ours(model: UniTok, count: int, *, scale: float, compile: bool = False) -> Callable[[], object]:
    """Returns a function that draws the codes of `count` images."""
    settings = dict.fromkeys(model.codec.modalities, Sampling(guidance_scale=scale))

    def draw() -> None:
        engine = Engine(model.model, model.codec, batch_size=count, compile=compile)
        for prompt in prompts(count):
            engine.submit(Request(prompt=prompt, target="image", sampling=settings))
        for _ in engine.run():
            pass

    return draw


def theirs(
    model: UniTok, peer, count: int, processor: LogitsProcessor, *, scale: float, **options
) -> Callable:
    """Returns a function that draws the same codes with transformers."""
    codec = model.codec
    starts = torch.stack([codec.join(prompt, open="image").ids for prompt in prompts(count)])
    free = codec.join([], open="image").ids.expand(count, -1)
    guidance = {"guidance_scale": scale, "negative_prompt_ids": free} if scale != 1 else {}

    def draw() -> None:
        ids = peer.generate(
            starts, max_new_tokens=SIDE * SIDE, do_sample=True, top_k=0, logits_processor=[processor],
            **guidance, **options,
        )  # fmt: skip
        assert ids.shape[1] == starts.shape[1] + SIDE * SIDE

    return draw


class PeerMode(NamedTuple):
    """A way in which the peer decodes, and the bars for one image and for several."""

    name: str
    processor: LogitsProcessor
    options: dict
    bar_of_one: float
    bar_of_several: float


def peer_modes(folder: Path, model: UniTok, *, compile: bool) -> list[PeerMode]:
    """The peer with grammar and with mask; or with the mask in a growing and in a compiled static cache."""
    vocabulary = model.codec.vocabulary
    bars = (3.0, 4.0) if vocabulary.size >= 65_000 else (2.2, 1.9)
    mask = Mask(vocabulary.codes("image"), vocabulary.size)
    if not compile:
        grammar = Grammar.from_pretrained(folder, "image")
        return [PeerMode("grammar", grammar, {}, *bars), PeerMode("mask", mask, {}, *bars)]
    static = CompileConfig(fullgraph=False, dynamic=False, mode="default")
    static._compile_all_devices = True
    options = {"cache_implementation": "static", "compile_config": static}
    compiled = PeerMode("static cache, compiled", mask, options, 1.4, 1.5)
    return [PeerMode("growing cache", mask, {}, *bars), compiled]


def against_transformers(
    model: UniTok, *, batches: list[int], compile: bool, rounds: int, name: str, clock: Clock
) -> list[Row]:
    """Each batch size against the peer's modes, and guidance with one image."""
    with tempfile.TemporaryDirectory() as folder:
        export(model, Path(folder) / "model")
        peer = AutoModelForCausalLM.from_pretrained(Path(folder) / "model", dtype="auto").eval()
        modes = peer_modes(Path(folder) / "model", model, compile=compile)
    rows = []
    for count, scale in [*((batch, 1.0) for batch in batches), (1, 3.0)]:
        draw_ours = ours(model, count, scale=scale, compile=compile)
        for mode in modes:
            if scale != 1 and mode.options:
                continue  # guidance uses a second cache, which the static cache does not support
            draw_theirs = theirs(model, peer, count, mode.processor, scale=scale, **mode.options)
            seconds = alternate(draw_ours, draw_theirs, rounds=rounds, clock=clock)
            bar = 3.0 if scale != 1 else mode.bar_of_one if count == 1 else mode.bar_of_several
            ratio = seconds.theirs / seconds.ours
            kind = f"{name}, batch {count}{', guided' if scale != 1 else ''}, peer's {mode.name}"
            rate = count * SIDE * SIDE / seconds.ours
            rows.append(Row(kind, rate, "codes/s", ratio, bar, ratio >= bar, f"{seconds.ours:.3f} s a batch"))
    return rows


def floors(model: UniTok, *, compile: bool, rounds: int, name: str, clock: Clock) -> list[Row]:
    """The speed for one image as a share of the speed of its linear layers alone, by torch's kernel, and of
    the speed at which their weights can be read."""
    transformer = model.model
    layers = [weight for key, weight in transformer.blocks.named_parameters() if weight.ndim == 2]
    codes = model.codec.vocabulary.codes("image")
    layers.append(transformer.unembedding.weight[codes.start : codes.stop])
    rows = [torch.ones(1, weight.shape[1], dtype=weight.dtype) for weight in layers]
    megabytes = sum(weight.nbytes for weight in layers) / 2**20

    @torch.inference_mode()
    def products() -> None:
        for _ in range(SIDE * SIDE):
            for row, weight in zip(rows, layers, strict=True):
                F.linear(row, weight)

    @torch.inference_mode()
    def read_weights() -> None:
        for _ in range(SIDE * SIDE):
            for weight in layers:
                weight.view(torch.float32).sum()  # other dtypes are read as float32 bits

    result = []
    for floor, run, bar in (("layers'", products, 0.8), ("memory's", read_weights, None)):
        seconds = alternate(ours(model, 1, scale=1.0, compile=compile), run, rounds=rounds, clock=clock)
        share, rate = seconds.theirs / seconds.ours, megabytes * SIDE * SIDE / seconds.theirs / 2**10
        kind, remark = f"{name}, share of the {floor} speed", f"{megabytes:.0f} MB a code, at {rate:.1f} GB/s"
        ok = bar is None or share >= bar
        result.append(Row(kind, SIDE * SIDE / seconds.ours, "codes/s", share, bar, ok, remark))
    return result


def guidance_cost(model: UniTok, *, compile: bool, rounds: int, name: str, clock: Clock) -> Row:
    """The cost of guidance's second branch for one image."""
    sides = (ours(model, 1, scale=scale, compile=compile) for scale in (3.0, 1.0))
    seconds = alternate(*sides, rounds=rounds, clock=clock)
    cost = seconds.ours / seconds.theirs
    return Row(f"{name}, guidance", cost, "times the plain cost", None, 1.4, cost <= 1.4)


def mixed(model: UniTok, *, rounds: int, name: str, clock: Clock, count: int = 24) -> Row:
    """Drawings, guided drawings, texts and whole documents: batches of sixteen against one at a time."""
    plain = dict.fromkeys(model.codec.modalities, Sampling(max_new_tokens=24))
    guided = {"text": plain["text"], "image": Sampling(guidance_scale=3.0)}
    kinds = [
        {"target": "image", "sampling": plain},
        {"target": "text", "sampling": plain},
        {"target": "image", "sampling": guided},
        {"sampling": plain, "max_segments": 2},
    ]

    def run(rows: int) -> Callable[[], object]:
        def serve() -> None:
            engine = Engine(model.model, model.codec, batch_size=rows)
            for i, prompt in enumerate(prompts(count)):
                engine.submit(Request(prompt=prompt, seed=i, **kinds[i % len(kinds)]))
            for _ in engine.run():
                pass

        return serve

    seconds = alternate(run(16), run(1), rounds=rounds, clock=clock)
    ratio = seconds.theirs / seconds.ours
    return Row(f"{name}, mixed requests, 16 at once", count / seconds.ours, "requests/s", ratio, None, True)


def guessing(folder: str, *, rounds: int, clock: Clock) -> list[Row]:
    """Forward passes and time of a trained model with speculative decoding, against the same without.

    It draws its example prompts, one image at a time.
    """
    model = UniTok.from_pretrained(folder, device="cpu")
    inputs = [((Segment("text", prompt),), seed) for prompt in model.example_prompts for seed in SEEDS]
    rows = []
    for guesses in GUESSES:
        passes = {}

        def draw(speculate: int, passes: dict[int, int] = passes) -> None:
            engine = model.engine(batch_size=1, speculate=speculate)
            for document, seed in inputs:
                engine.submit(model.request(document, target="image", guidance_scale=1.0, seed=seed))
            for _ in engine.run():
                pass
            passes[speculate] = engine.forwards

        seconds = alternate(partial(draw, guesses), partial(draw, 0), rounds=rounds, clock=clock)
        fewer, faster = passes[0] / passes[guesses], seconds.theirs / seconds.ours
        count = len(inputs)
        rows.append(Row(f"{guesses} guesses, time", seconds.ours / count, "s", faster, 1.4, faster >= 1.4))
        rows.append(Row(f"{guesses} guesses, passes", passes[guesses] / count, "", fewer, 2.0, fewer >= 2))
    return rows


def main() -> None:
    parser = command_line(__doc__, rounds=5, threads=1)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16], help="images per batch")
    parser.add_argument(
        "--size", choices=SIZES, default="10M", help="weights without embeddings (default 10M)"
    )
    parser.add_argument("--text", type=int, default=2048, help="text ids (default 2048)")
    parser.add_argument("--image", type=int, default=1024, help="image ids (default 1024)")
    parser.add_argument("--dtype", default="float32", help="float32 or bfloat16")
    parser.add_argument("--compile", action="store_true", help="compile our steps, and the peer's")
    parser.add_argument("--cpu-time", action="store_true", help="measure processor time, for a busy machine")
    parser.add_argument("--model", metavar="DIR", help="measure speculative decoding of this trained model")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shared = {"rounds": options.rounds, "clock": time.process_time if options.cpu_time else time.perf_counter}
    if options.model:
        return finish(guessing(options.model, **shared), options.json)
    dtype = getattr(torch, options.dtype)
    model = model_of(options.size, text=options.text, image=options.image, dtype=dtype)
    name = f"{options.size} {options.dtype} {(options.text + options.image) // 1000}k ids"
    settings = shared | {"name": name, "compile": options.compile}
    rows = against_transformers(model, batches=options.batches, **settings)
    rows += floors(model, **settings)
    rows.append(guidance_cost(model, **settings))
    if not options.compile:
        rows.append(mixed(model, **shared, name=name))
    finish(rows, options.json)


if __name__ == "__main__":
    main()
