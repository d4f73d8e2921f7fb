"""Cost of decoding and training as vocabulary, context and batch grow, on a small model.

python benchmarks/growth.py [--only decode] [--json FILE] [--plot docs/growth.png]

Measures image codes per second when drawing after a text, without the prefill; and a loss with its gradients
on rows of image codes, without the optimizer. One of the three grows at a time; all settings run in turn, so
that a busy machine slows each equally. Slopes are log-log, of the upper half of an axis.
"""

import math
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from compare import Row, command_line, finish
from decode import model_of

from unitok.api.unitok import UniTok
from unitok.document import Codes
from unitok.generation.engine import Engine
from unitok.generation.requests import Request
from unitok.generation.sampling import Sampling
from unitok.models.cross_entropy import grouped_cross_entropy

IMAGE = 1024  # image ids
STEPS = 24  # timed codes
GROWING = {
    "decode": {
        "vocabulary": (3_000, 12_000, 50_000, 168_000),
        "context": (256, 1024, 2048, 8192),
        "batch": (1, 2, 8, 32),
    },
    "train": {
        "vocabulary": (3_000, 12_000, 50_000, 150_000),
        "context": (512, 1024, 2048, 8192),
        "batch": (1, 2, 8, 32),
    },
}
FEW_AND_MANY = (8, 40)  # rows, for the cost of one more token
BASE = {"vocabulary": 3_000, "context": 256, "batch": 1}


class Setting(NamedTuple):
    """The measured operation, the growing axis, and its size."""

    kind: str
    axis: str
    size: int


def decoder(model: UniTok, *, context: int, batch: int) -> Callable[[], float]:
    """Returns a function that times a step of `batch` images after texts of `context` ids."""
    settings = dict.fromkeys(model.codec.modalities, Sampling())
    text = torch.arange(context) % 250

    def seconds() -> float:
        engine = Engine(model.model, model.codec, batch_size=batch)
        for copy in range(batch):
            prompt = [Codes("text", text, (context,))]
            engine.submit(Request(prompt=prompt, target="image", sampling=settings, copy=copy))
        engine.step()
        engine.step()
        start = time.process_time()
        for _ in range(STEPS):
            engine.step()
        return (time.process_time() - start) / STEPS

    return seconds


def trainer(model: UniTok, *, context: int, batch: int) -> Callable[[], float]:
    """Returns a function that times a loss and its gradients on rows of image codes."""
    vocabulary, transformer = model.codec.vocabulary, model.model.train()
    codes = vocabulary.codes("image")
    ids = torch.randint(codes.start, codes.stop, (batch, context + 1))
    positions = torch.arange(context)[None, :, None].expand(batch, -1, 3)

    def seconds() -> float:
        start = time.process_time()
        hidden = transformer(ids[:, :-1], positions)
        groups = [("image", "image", codes)]
        loss = grouped_cross_entropy(
            transformer.unembedding.weight, hidden, ids[:, 1:].contiguous(), groups, z_loss=1e-4
        )
        loss.mean.backward()
        transformer.zero_grad()
        return time.process_time() - start

    return seconds


def settings_of(kinds: list[str]) -> list[Setting]:
    return [Setting(kind, axis, n) for kind in kinds for axis, sizes in GROWING[kind].items() for n in sizes]


def measure(settings: list[Setting], *, rounds: int) -> dict[Setting, float]:
    """Median seconds of every setting."""
    models: dict[int, UniTok] = {}
    runs = {}
    for setting in settings:
        values = BASE | {setting.axis: setting.size}
        vocabulary = values.pop("vocabulary")
        if vocabulary not in models:
            models[vocabulary] = small_model(vocabulary)
        runs[setting] = (decoder if setting.kind == "decode" else trainer)(models[vocabulary], **values)
    return {key: statistics.median(seconds) for key, seconds in _run_in_turn(runs, rounds=rounds).items()}


def small_model(vocabulary: int) -> UniTok:
    """The measured model, with a vocabulary of this size."""
    return model_of("tiny", text=vocabulary - IMAGE, image=IMAGE, dtype=torch.float32, max_length=16_384)


def token_cost(*, rounds: int) -> Row:
    """Cost of one more image token in training with the largest vocabulary, against the smallest: the
    difference between steps of many and few rows, which cancels a step's fixed cost, zeroing gradients."""
    small, large = (GROWING["train"]["vocabulary"][i] for i in (0, -1))
    runs = {
        (ids, batch): trainer(small_model(ids), context=BASE["context"], batch=batch)
        for ids in (small, large)
        for batch in FEW_AND_MANY
    }
    seconds = {key: statistics.median(times) for key, times in _run_in_turn(runs, rounds=rounds).items()}
    few, many = FEW_AND_MANY
    tokens = (many - few) * BASE["context"]
    costs = [(seconds[ids, many] - seconds[ids, few]) / tokens for ids in (small, large)]
    ratio = costs[1] / costs[0]
    name = f"train, one more image token at {large // 1000}k ids against {small // 1000}k"
    return Row(name, costs[1] * 1e6, "µs", ratio, 1.1, ratio <= 1.1)


def _run_in_turn(runs: dict, *, rounds: int) -> dict[tuple | Setting, list[float]]:
    """Seconds of each run in each round, after a warm-up round."""
    times = {key: [] for key in runs}
    for number in range(rounds + 1):
        for key, run in runs.items():
            seconds = run()
            if number:
                times[key].append(seconds)
    return times


def slope(sizes: tuple[int, ...], costs: list[float]) -> float:
    """Log-log slope of the cost over the upper half of the sizes: 1 if twice the size costs twice as much."""
    middle = len(sizes) // 2
    return math.log(costs[-1] / costs[middle]) / math.log(sizes[-1] / sizes[middle])


def rows_of(figures: dict[Setting, float]) -> list[Row]:
    """A row for each setting, and one for the slope of each axis."""
    rows = []
    for kind, axis in dict.fromkeys((s.kind, s.axis) for s in figures):
        sizes = GROWING[kind][axis]
        costs = [figures[Setting(kind, axis, size)] for size in sizes]
        for size, cost in zip(sizes, costs, strict=True):
            tokens = (size if axis == "batch" else 1) * (1 if kind == "decode" else 256)
            tokens = size if (kind, axis) == ("train", "context") else tokens
            rows.append(Row(f"{kind}, {axis} {size}", tokens / cost, "tokens/s", None, None, True))
        steepness = slope(sizes, costs)
        rows.append(Row(f"{kind}, {axis}: slope of a step", steepness, "", None, None, True))
        if axis == "vocabulary":
            ratio = costs[-1] / costs[0]
            name = f"{kind}, {sizes[-1] // 1000}k ids against {sizes[0] // 1000}k"
            rows.append(Row(name, ratio, "times the time", None, 1.1, ratio <= 1.1))
    return rows


def plot(figures: dict[Setting, float], path: str) -> None:
    """Plot a row of panels per kind, with a panel per axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    kinds = list(dict.fromkeys(setting.kind for setting in figures))
    figure, panels = pyplot.subplots(
        len(kinds), 3, figsize=(11, 3.4 * len(kinds)), squeeze=False, sharey="row"
    )
    for row, kind in zip(panels, kinds, strict=True):
        for panel, (axis, sizes) in zip(row, GROWING[kind].items(), strict=True):
            seconds = [figures[Setting(kind, axis, size)] for size in sizes]
            panel.loglog(sizes, 1000 * np.array(seconds), "o-", label="ms a step")
            panel.set_xlabel({"vocabulary": "ids", "context": "tokens of a row", "batch": "rows"}[axis])
            panel.set_xticks(sizes, [f"{n // 1000}k" if n >= 3000 else str(n) for n in sizes])
            panel.minorticks_off()
            panel.yaxis.set_major_formatter("{x:g}")
            panel.set_title(f"{'a code of every row' if kind == 'decode' else 'loss and gradients'}: {axis}")
            panel.grid(alpha=0.3)
            panel.legend()
        row[0].set_ylim(1, 1.5 * max(line.get_ydata().max() for panel in row for line in panel.get_lines()))
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = command_line(__doc__, rounds=3)
    parser.add_argument("--only", choices=GROWING, action="append", help="measure only this")
    parser.add_argument("--plot", metavar="FILE", help="also plot the costs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = options.only or list(GROWING)
    figures = measure(settings_of(kinds), rounds=options.rounds)
    if options.plot:
        plot(figures, options.plot)
    costs = [token_cost(rounds=options.rounds)] if "train" in kinds else []
    finish(rows_of(figures) + costs, options.json)


if __name__ == "__main__":
    main()
