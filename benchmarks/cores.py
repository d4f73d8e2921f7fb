"""A training step by one process with all threads, against several processes that share the batch.

python benchmarks/cores.py [--threads 2] [--eager] [--rounds 12] [--json FILE]

The demo's transformer and batch, and a model of 10 million weights; Muon, autocast to bf16 where the CPU has
it. The floor is the products' operations over the measured rate of one product on all cores.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from compare import Row, alternate, command_line, finish

from unitok.data.batches.packing import Batch
from unitok.device import fast_dtype
from unitok.models.cross_entropy import LossSums, grouped_cross_entropy
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.training.cores.processes import share_rows
from unitok.training.cores.row_shares import RowShares, WholeBatch
from unitok.training.cores.workers import start_autograd
from unitok.training.optimizers import WIDE, OptimizerConfig, build_optimizer
from unitok.training.weights.parallelize import compile_blocks

CPU = torch.device("cpu")
DTYPE = fast_dtype(CPU)
TEXT, IMAGE, CONTROL = 512, 512, 5
GROUPS = [("text", "text", range(TEXT)), ("image", "image", range(TEXT + CONTROL, TEXT + CONTROL + IMAGE))]
HEADS = {"heads": 4, "kv_heads": 4, "head_width": 64, "max_length": 512}
MODELS = {
    "demo": (TransformerSizes(width=256, layers=4, hidden=768, **HEADS), (64, 50)),
    "10M": (TransformerSizes(width=320, layers=8, hidden=960, **HEADS), (8, 512)),
}
"""Sizes, and the batch's rows and their ids."""
BAR = 1.0


def precision() -> AbstractContextManager:
    """The autocast of a training."""
    return torch.autocast("cpu", DTYPE) if DTYPE is torch.bfloat16 else nullcontext()


def batch_of(rows: int, length: int) -> Batch:
    """A text and an image in each row."""
    text = torch.randint(TEXT, (rows, length // 5))
    image = TEXT + CONTROL + torch.randint(IMAGE, (rows, length + 1 - length // 5))
    ids = torch.cat((text, image), dim=1)
    positions = torch.arange(length)[None, :, None].expand(rows, -1, 3)
    return Batch(ids[:, :-1], positions, torch.zeros_like(ids[:, 1:]), ids[:, 1:].contiguous())


def training_step(
    name: str, *, threads: int, processes: int, compiled: bool
) -> tuple[Callable[[], None], RowShares | WholeBatch]:
    """Returns a step of a model, and what shares its batch."""
    torch.manual_seed(0)
    sizes, (count, length) = MODELS[name]
    model = Transformer(TransformerConfig(sizes, TEXT + CONTROL + IMAGE + 2))
    if compiled:
        compile_blocks(model.blocks, device=CPU)
    optimizer, batch = build_optimizer(model, OptimizerConfig()), batch_of(count, length)

    def loss(part: Batch, complete: Batch) -> LossSums:
        hidden = model(part.ids, part.positions)
        return grouped_cross_entropy(model.unembedding.weight, hidden, complete.targets, GROUPS)

    rows: RowShares | WholeBatch = WholeBatch(loss)
    if processes > 1:
        rows = share_rows(processes, loss, model, optimizer, precision=precision)

    def step() -> None:
        torch.set_num_threads(threads)
        with precision():
            sums = rows.sums(batch, batch)
        sums.total.backward()
        rows.add_gradients()
        torch.nn.utils.clip_grad_norm_(model.parameters(), float(sums.weight))
        optimizer.step()
        optimizer.zero_grad()

    return step, rows


def floor(name: str, *, threads: int) -> float:
    """Seconds of a step's products, of blocks and head and Muon, at the measured rate of all cores."""
    sizes, (count, length) = MODELS[name]
    attention, wide = sizes.width * sizes.heads * sizes.head_width, sizes.width * sizes.hidden
    head = sizes.width * (TEXT / 5 + IMAGE * 4 / 5)
    products = 6.0 * count * length * (sizes.layers * (4 * attention + 3 * wide) + head)
    muon = sizes.layers * sum(
        _muon_operations(min(shape), max(shape))
        for shape in ((sizes.width, 3 * sizes.heads * sizes.head_width), (sizes.width, sizes.width),
                      (sizes.width, 2 * sizes.hidden), (sizes.width, sizes.hidden))
    )  # fmt: skip
    return (products + muon) / _rate(threads)


def _muon_operations(rows: int, columns: int) -> float:
    """Operations of Muon's five steps: on Gram matrices, in two parts, where the matrix is wide."""
    if columns > WIDE * rows:
        return 8.0 * rows**2 * columns + 28.0 * rows**3
    return 5 * (4.0 * rows**2 * columns + 2.0 * rows**3)


def _rate(threads: int) -> float:
    """Operations a second of one product on all cores."""
    torch.set_num_threads(threads)
    a, b = torch.randn(4096, 256).to(DTYPE), torch.randn(256, 1536).to(DTYPE)
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * 4096 * 256 * 1536 / best


def measure(name: str, *, threads: int, compiled: bool, rounds: int) -> Row:
    """Both ways, alternating."""
    whole, _ = training_step(name, threads=threads, processes=1, compiled=compiled)
    shared, rows = training_step(name, threads=threads, processes=threads, compiled=compiled)
    shared()  # the first step forks nothing
    seconds = alternate(shared, whole, rounds=rounds)
    rows.close()
    ratio, least = seconds.theirs / seconds.ours, floor(name, threads=threads)
    remark = f"one process {1e3 * seconds.theirs:.0f} ms; floor of the products {1e3 * least:.0f} ms"
    kind = "compiled" if compiled else "eager"
    what = f"{name}, {threads} processes, {kind}"
    return Row(what, 1e3 * seconds.ours, "ms", ratio, BAR, ratio >= BAR, remark)


def main() -> None:
    parser = command_line(__doc__, rounds=12, threads=2)
    parser.add_argument("--eager", action="store_true", help="without compiling")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    start_autograd()
    settings = {"threads": options.threads, "compiled": not options.eager, "rounds": options.rounds}
    finish([measure(name, **settings) for name in options.models], options.json)


if __name__ == "__main__":
    main()
