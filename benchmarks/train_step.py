"""One training step against transformers' Qwen3ForCausalLM of the same sizes: time, memory, loop overhead.

python benchmarks/train_step.py [--compile] [--json FILE]

Both train with AdamW in bf16 autocast (in fp32 on a CPU without bf16) on the same rows, nine tenths of whose
ids are image codes. Our loss is over the legal ids, the peer's over its whole vocabulary. Memory is the peak
of a fresh process beyond its imports.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from compare import Row, alternate, command_line, finish
from lightning.pytorch import Callback, LightningDataModule
from torch.utils.data import DataLoader, Dataset
from transformers import Qwen3Config, Qwen3ForCausalLM

from unitok.data.batches.packing import Batch
from unitok.device import fast_dtype
from unitok.modalities.image import ImageModality
from unitok.modalities.text import TextModality, train_bpe
from unitok.models.cross_entropy import Group, grouped_cross_entropy
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.tokens.codec import Codec
from unitok.training.optimizers import OptimizerConfig
from unitok.training.run.trainer import RunFolder
from unitok.training.transformer import TransformerTraining
from unitok.training.weights.init_from import StartConfig
from unitok.training.weights.parallelize import compile_blocks

DTYPE = fast_dtype(torch.device("cpu"))  # of both sides' products
SIZES = {
    "width": 320,
    "layers": 8,
    "heads": 5,
    "kv_heads": 5,
    "head_width": 64,
    "hidden": 960,
}  # 10.6M weights
VOCABULARIES = {"3k": (2048, 1080), "168k": (152_000, 16_384)}
"""Numbers of text and image ids."""
CONTROL = 5  # ids between them: text's end and begin, padding, document begin and end
TEXT_SHARE = 0.1
BARS = {"3k": 1.2, "168k": 3.0}
COMPILED_BARS = {"3k": 1.12, "168k": 3.0}
MEMORY_BAR = 0.4


def groups(text: int, image: int) -> list[Group]:
    """Ids of each modality."""
    return [("text", "text", range(text)), ("image", "image", range(text + CONTROL, text + CONTROL + image))]


def rows(text: int, image: int, *, count: int, length: int) -> Batch:
    """One document per row: a text, then an image."""
    text_length = int(length * TEXT_SHARE)
    codes = text + CONTROL + torch.randint(image, (count, length + 1 - text_length))
    ids = torch.cat((torch.randint(text, (count, text_length)), codes), dim=1)
    positions = torch.arange(length)[None, :, None].expand(count, -1, 3)
    return Batch(ids[:, :-1], positions, torch.zeros_like(ids[:, :-1]), ids[:, 1:].contiguous())


def ours(text: int, image: int, batch: Batch, *, compiled: bool) -> Callable[[], object]:
    """Returns a step of this package's transformer."""
    torch.manual_seed(0)
    model = Transformer(
        TransformerConfig(TransformerSizes(max_length=4096, **SIZES), text + CONTROL + image + 2)
    )
    if compiled:
        compile_blocks(model.blocks, device=torch.device("cpu"))
    sets = groups(text, image)

    def loss() -> torch.Tensor:
        hidden = model(batch.ids, batch.positions)
        return grouped_cross_entropy(model.unembedding.weight, hidden, batch.targets, sets, z_loss=1e-4).mean

    return _step(model, loss)


def theirs(text: int, image: int, batch: Batch, *, compiled: bool) -> Callable[[], object]:
    """Returns a step of the peer, with its own loss."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=text + CONTROL + image + 2, hidden_size=SIZES["width"], intermediate_size=SIZES["hidden"],
        num_hidden_layers=SIZES["layers"], num_attention_heads=SIZES["heads"],
        num_key_value_heads=SIZES["kv_heads"], head_dim=SIZES["head_width"], tie_word_embeddings=False,
        use_cache=False,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config)
    run = torch.compile(model) if compiled else model

    def loss() -> torch.Tensor:
        return run(input_ids=batch.ids, labels=batch.targets, shift_labels=batch.targets).loss

    return _step(model, loss)


def _step(model: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], object]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=DTYPE is torch.bfloat16):
            value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return value.item()

    return step


SIDES = {"ours": ours, "peer": theirs}


def memory(side: str, name: str, *, count: int, length: int) -> float:
    """Peak memory of a fresh process for two steps, in MB."""
    command = [
        sys.executable,
        __file__,
        "--memory",
        side,
        name,
        "--rows",
        str(count),
        "--length",
        str(length),
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def print_memory(side: str, name: str, *, count: int, length: int) -> None:
    """Run two steps in this process, print its peak memory."""
    batch = rows(*VOCABULARIES[name], count=count, length=length)
    before = _memory("VmRSS")
    step = SIDES[side](*VOCABULARIES[name], batch, compiled=False)
    step(), step()
    print(_memory("VmHWM") - before)


def _memory(kind: str) -> float:
    """This process's resident memory (VmRSS) or its peak (VmHWM), in MB."""
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        if line.startswith(kind)
    )
    return int(line.split()[1]) / 1024


def measure(name: str, *, compiled: bool, rounds: int, count: int, length: int) -> list[Row]:
    """Times of both sides, at one vocabulary."""
    batch = rows(*VOCABULARIES[name], count=count, length=length)
    steps = [make(*VOCABULARIES[name], batch, compiled=compiled) for make in SIDES.values()]
    seconds = alternate(*steps, rounds=rounds)
    ratio, bar = seconds.theirs / seconds.ours, (COMPILED_BARS if compiled else BARS)[name]
    rate = _operations(name, count * length) / seconds.ours / 1e9
    kind = "compiled" if compiled else "eager"
    return [
        Row(f"step, {name} ids, {kind}", seconds.ours * 1e3, "ms", ratio, bar, ratio >= bar,
            f"peer {seconds.theirs * 1e3:.0f} ms; {rate:.0f} GFLOP/s of {peak():.0f}")
    ]  # fmt: skip


def _operations(name: str, tokens: int) -> float:
    """Operations of a step's matrix products, without attention."""
    text, image = VOCABULARIES[name]
    width = SIZES["width"]
    block = width * (4 * SIZES["heads"] * SIZES["head_width"] + 3 * SIZES["hidden"])
    head = width * (TEXT_SHARE * text + (1 - TEXT_SHARE) * image)
    return 6.0 * tokens * (SIZES["layers"] * block + head)


def peak() -> float:
    """GFLOP/s of a matrix product of the blocks' shape."""
    a, b = torch.randn(4096, 320).to(DTYPE), torch.randn(320, 1920).to(DTYPE)
    a @ b
    start = time.perf_counter()
    for _ in range(20):
        a @ b
    return 20 * 2 * 4096 * 320 * 1920 / (time.perf_counter() - start) / 1e9


class Alternating(Callback):
    """Runs a bare step of an identical model before every batch of the trainer, and times both."""

    def __init__(self, bare: Callable[[], object]):
        self.bare, self.times = bare, {"loop": [], "bare": []}

    def on_train_batch_start(self, *rest) -> None:
        start = time.perf_counter()
        self.bare()
        self.times["bare"].append(time.perf_counter() - start)

    def on_train_batch_end(self, *rest) -> None:
        now = time.perf_counter()
        if len(self.times["bare"]) > 1:
            self.times["loop"].append(now - self.last - self.times["bare"][-1])
        self.last = now


class RepeatedBatch(Dataset):
    """The same batch, `count` times."""

    def __init__(self, batch: Batch, count: int):
        self.batch, self.count = batch, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Batch:
        return self.batch


def loop(*, rounds: int, count: int, length: int) -> Row:
    """The trainer's loop against bare steps with the same loss, clipping and optimizer."""
    image = VOCABULARIES["3k"][1]
    tokenizer = ImageTokenizer(ImageTokenizerConfig(Patch(channels=8), EMACodebook(image, 8)))
    codec = Codec([TextModality(train_bpe(["a"], size=257)), ImageModality(tokenizer, shape=(8, 8))])
    text = codec.modalities["text"].size
    batch = rows(text, image, count=count, length=length)
    times = Alternating(ours(text, image, batch, compiled=False))
    module = TransformerTraining(
        TransformerSizes(max_length=4096, **SIZES),
        optimizer=OptimizerConfig("adamw"),
        start=StartConfig(code_scale=0.0),
    )
    with tempfile.TemporaryDirectory() as folder:
        data = LightningDataModule()
        data.codec, data.train_dataloader = (
            codec,
            lambda: DataLoader(RepeatedBatch(batch, 3 * rounds), batch_size=None),
        )
        module.export = lambda folder: None
        RunFolder(
            default_root_dir=folder, max_steps=3 * rounds, accelerator="cpu", precision="bf16-mixed",
            callbacks=[times], enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0,
            log_every_n_steps=20,
        ).fit(module, datamodule=data)  # fmt: skip
    in_loop, bare = (statistics.median(times.times[name]) for name in ("loop", "bare"))
    return Row("Lightning's loop", in_loop * 1e3, "ms", bare / in_loop, 0.97, bare / in_loop >= 0.97,
               f"bare step {bare * 1e3:.0f} ms")  # fmt: skip


def main() -> None:
    parser = command_line(__doc__, rounds=7, threads=1)
    parser.add_argument("--rows", type=int, default=8, help="rows per batch (default 8)")
    parser.add_argument("--length", type=int, default=512, help="ids per row (default 512)")
    parser.add_argument("--compile", action="store_true", help="compile both sides")
    parser.add_argument("--memory", nargs=2, metavar=("SIDE", "IDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes = {"count": options.rows, "length": options.length}
    if options.memory:
        return print_memory(*options.memory, **sizes)
    results = []
    for name in VOCABULARIES:
        results += measure(name, compiled=options.compile, rounds=options.rounds, **sizes)
        if not options.compile:
            own, peer = (memory(side, name, **sizes) for side in SIDES)
            bar = MEMORY_BAR if name == "168k" else None
            results.append(Row(f"peak memory, {name} ids", own, "MB", peer / own, bar and 1 / bar,
                               bar is None or own <= bar * peer, f"peer {peer:.0f} MB"))  # fmt: skip
    if not options.compile:
        results.append(loop(rounds=options.rounds, **sizes))
    finish(results, options.json)


if __name__ == "__main__":
    main()
