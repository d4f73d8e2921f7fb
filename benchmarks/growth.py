"""What decoding and training cost as vocabulary, context and batch grow, on a small model.

python benchmarks/growth.py [--only decode] [--json FILE] [--plot docs/growth.png]

Image codes a second while a picture is drawn after a text, its prefill not counted; and a loss and its
gradients on rows of image codes, without the optimizer. One of the three grows at a time; all settings run in
turn, so that a busy machine slows each alike. Slopes are of the upper half of an axis, log against log.
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
STEPS = 24  # codes that are timed
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
FEW_AND_MANY = (8, 40)  # rows, for the price of one more token
PLAIN = {"vocabulary": 3_000, "context": 256, "batch": 1}


class Setting(NamedTuple):
    """What is measured, which axis grows, and how large it is."""

    kind: str
    axis: str
    size: int


def decoder(model: UniTok, *, context: int, batch: int) -> Callable[[], float]:
    """Seconds of a step of `batch` pictures after texts of `context` ids, all of them image codes."""
    settings = dict.fromkeys(model.codec.modalities, Sampling())
    text = torch.arange(context) % 250

    def seconds() -> float:
        engine = Engine(model.model, model.codec, batch_size=batch)
        for copy in range(batch):
            prompt = [Codes("text", text, (context,))]
            engine.submit(Request(prompt=prompt, target="image", sampling=settings, copy=copy))
        engine.step()
        engine.step()
        started = time.process_time()
        for _ in range(STEPS):
            engine.step()
        return (time.process_time() - started) / STEPS

    return seconds


def trainer(model: UniTok, *, context: int, batch: int) -> Callable[[], float]:
    """Seconds of a loss and its gradients on rows of image codes: what an image token costs in training."""
    vocabulary, transformer = model.codec.vocabulary, model.model.train()
    codes = vocabulary.codes("image")
    ids = torch.randint(codes.start, codes.stop, (batch, context + 1))
    positions = torch.arange(context)[None, :, None].expand(batch, -1, 3)

    def seconds() -> float:
        started = time.process_time()
        hidden = transformer(ids[:, :-1], positions)
        groups = [("image", "image", codes)]
        loss = grouped_cross_entropy(
            transformer.unembedding.weight, hidden, ids[:, 1:].contiguous(), groups, z_loss=1e-4
        )
        loss.mean.backward()
        transformer.zero_grad()
        return time.process_time() - started

    return seconds


def settings_of(kinds: list[str]) -> list[Setting]:
    return [Setting(kind, axis, n) for kind in kinds for axis, sizes in GROWING[kind].items() for n in sizes]


def measured(settings: list[Setting], *, rounds: int) -> dict[Setting, float]:
    """Every setting once a round; the first round does not count."""
    models: dict[int, UniTok] = {}
    runs = {}
    for setting in settings:
        values = PLAIN | {setting.axis: setting.size}
        vocabulary = values.pop("vocabulary")
        if vocabulary not in models:
            models[vocabulary] = small(vocabulary)
        runs[setting] = (decoder if setting.kind == "decode" else trainer)(models[vocabulary], **values)
    return {setting: statistics.median(found) for setting, found in _in_turn(runs, rounds=rounds).items()}


def small(vocabulary: int) -> UniTok:
    """The model that is measured, with so many ids."""
    return model_of("tiny", text=vocabulary - IMAGE, image=IMAGE, dtype=torch.float32, max_length=16_384)


def price(*, rounds: int) -> Row:
    """What one more image token costs in training at the most ids, against the least: a step of many rows
    less one of few, so that what a step costs once, the zeros of all ids' gradients, does not count."""
    least, most = (GROWING["train"]["vocabulary"][place] for place in (0, -1))
    runs = {
        (ids, batch): trainer(small(ids), context=PLAIN["context"], batch=batch)
        for ids in (least, most)
        for batch in FEW_AND_MANY
    }
    taken = {key: statistics.median(times) for key, times in _in_turn(runs, rounds=rounds).items()}
    few, many = FEW_AND_MANY
    costs = [(taken[ids, many] - taken[ids, few]) / (many - few) / PLAIN["context"] for ids in (least, most)]
    ratio = costs[1] / costs[0]
    name = f"train, one more image token at {most // 1000}k ids against {least // 1000}k"
    return Row(name, costs[1] * 1e6, "µs", ratio, 1.1, ratio <= 1.1)


def _in_turn(runs: dict, *, rounds: int) -> dict[tuple | Setting, list[float]]:
    """Seconds of each, once a round; the first round does not count."""
    taken = {key: [] for key in runs}
    for number in range(rounds + 1):
        for key, run in runs.items():
            seconds = run()
            if number:
                taken[key].append(seconds)
    return taken


def slope(sizes: tuple[int, ...], costs: list[float]) -> float:
    """Growth of the cost over the upper half of the sizes: 1 where twice the size costs twice."""
    middle = len(sizes) // 2
    return math.log(costs[-1] / costs[middle]) / math.log(sizes[-1] / sizes[middle])


def rows_of(figures: dict[Setting, float]) -> list[Row]:
    """A line for each setting, and one for each axis' slope."""
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
    """A row of panels a kind, a panel an axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    kinds = list(dict.fromkeys(setting.kind for setting in figures))
    figure, panels = pyplot.subplots(
        len(kinds), 3, figsize=(11, 3.4 * len(kinds)), squeeze=False, sharey="row"
    )
    for row, kind in zip(panels, kinds, strict=True):
        for panel, (axis, sizes) in zip(row, GROWING[kind].items(), strict=True):
            found = [figures[Setting(kind, axis, size)] for size in sizes]
            panel.loglog(sizes, 1000 * np.array(found), "o-", label="ms a step")
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
    parser.add_argument("--only", choices=GROWING, action="append", help="measure this alone")
    parser.add_argument("--plot", metavar="FILE", help="also draw them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = options.only or list(GROWING)
    figures = measured(settings_of(kinds), rounds=options.rounds)
    if options.plot:
        plot(figures, options.plot)
    prices = [price(rounds=options.rounds)] if "train" in kinds else []
    finish(rows_of(figures) + prices, options.json)


if __name__ == "__main__":
    main()
