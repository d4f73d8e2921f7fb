"""Logged metrics of a transformer's run: losses by modality, speed, utilisation. Knows no model."""

import math
import time
from collections.abc import Iterable, Mapping

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.distributed import all_reduce

from unitok.data.batches.packing import Batch
from unitok.device import widest_float
from unitok.models.cross_entropy import LossSums

NOTHING = "data.val: nothing to measure: not one sample could be read and is learned; the log says why"


def batch_figures(sums: LossSums) -> dict[str, Tensor]:
    """Loss, perplexity and the root mean square of the logits, by modality."""
    figures = {}
    for name, total in sums.cross_entropy.items():
        mean = total / sums.count[name]
        figures |= {f"loss/{name}": mean, f"perplexity/{name}": mean.exp()}
        figures[f"logit_norm/{name}"] = (sums.square[name] / sums.count[name]).sqrt()
    return figures


class Speed:
    """Counts what is trained between two lines of the log.

    Args:
        peak_tflops: of the machine; 0 leaves out the share of it that is used (mfu).
    """

    def __init__(self, peak_tflops: float):
        self.peak_tflops = peak_tflops
        self.tokens: Tensor | int = 0
        self.places = 0
        self.since = time.perf_counter()

    def count(self, batch: Batch) -> None:
        """Add a batch."""
        self.tokens = self.tokens + (batch.document >= 0).sum()
        self.places += batch.ids.numel()

    def read(self, *, parameters: int) -> dict[str, float]:
        """The figures since the last call; `parameters` are the blocks' weights, of 6 operations a token."""
        now = time.perf_counter()
        tokens = float(self.tokens)
        speed = tokens / (now - self.since)
        tflops = 6e-12 * speed * parameters
        figures = {"tokens_per_second": speed, "tflops": tflops, "padding": 1 - tokens / max(1, self.places)}
        if self.peak_tflops:
            figures["mfu"] = tflops / self.peak_tflops
        self.tokens, self.places, self.since = 0, 0, now
        return figures


class Totals:
    """Sums of a whole validation, over batches and ranks.

    Args:
        modalities: whose losses there may be.
    """

    def __init__(self, modalities: Iterable[str]):
        self.modalities = tuple(modalities)
        names = [f"{kind}/{name}" for name in self.modalities for kind in ("sum", "count")]
        self.sums: dict[str, float] = dict.fromkeys(["total", "weight", *names], 0.0)

    def add(self, sums: LossSums) -> None:
        """Take in a batch."""
        new = {"total": sums.total, "weight": sums.weight}
        for name in sums.count:
            new |= {f"sum/{name}": sums.cross_entropy[name], f"count/{name}": sums.count[name]}
        for name, value in new.items():
            self.sums[name] += float(value)

    def figures(self, trainer: Trainer) -> dict[str, float]:
        """val/loss, and the loss and perplexity of each modality that was seen.

        Raises ValueError where nothing was.
        """
        seen = dict(zip(self.sums, over_ranks(list(self.sums.values()), trainer), strict=True))
        if not seen["weight"]:
            raise ValueError(NOTHING)
        figures = {"val/loss": seen["total"] / seen["weight"]}
        for name in self.modalities:
            if seen[f"count/{name}"]:
                mean = seen[f"sum/{name}"] / seen[f"count/{name}"]
                figures |= {
                    f"val/loss_{name}": mean,
                    f"val/perplexity_{name}": math.exp(min(mean, 80.0)),
                }
        return figures


class Means:
    """Means of a whole validation, over samples and ranks.

    Args:
        names: of all figures that there may be; the first is one of every sample.
    """

    def __init__(self, names: Iterable[str]):
        self.sums, self.counts = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)

    def add(self, figures: Mapping[str, Tensor], count: int) -> None:
        """Take in the means of a batch of `count` samples."""
        for name, value in figures.items():
            self.sums[name] += float(value) * count
            self.counts[name] += count

    def figures(self, trainer: Trainer) -> dict[str, float]:
        """The figures that any rank has. Raises ValueError where there was no sample."""
        counts = over_ranks(list(self.counts.values()), trainer)
        if not counts[0]:
            raise ValueError(NOTHING)
        sums = over_ranks(list(self.sums.values()), trainer)
        return {
            name: total / count for name, total, count in zip(self.sums, sums, counts, strict=True) if count
        }


def over_ranks(values: list[float], trainer: Trainer) -> list[float]:
    """Sums of numbers over all processes, as exact as their device can make them."""
    if trainer.world_size == 1:
        return values
    device = trainer.strategy.root_device
    total = torch.tensor(values, dtype=widest_float(device), device=device)
    all_reduce(total)
    return total.tolist()
