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
from unitok.modalities.kinds import STRUCTURE
from unitok.models.cross_entropy import LossSums

NOTHING_MEASURED = (
    "data.val: nothing to measure: no sample could be read and has a target to learn; the log says why"
)


def batch_figures(sums: LossSums) -> dict[str, Tensor]:
    """Loss, perplexity and the root mean square of the logits, by modality."""
    figures = {}
    for name, total in sums.cross_entropy.items():
        mean = total / sums.count[name]
        figures |= {f"loss/{name}": mean, f"perplexity/{name}": mean.exp()}
        figures[f"logit_norm/{name}"] = (sums.square[name] / sums.count[name]).sqrt()
    return figures


class Speed:
    """Measures training speed between two logged steps.

    Args:
        peak_tflops: of the machine; 0 omits the share of it in use (mfu).
    """

    def __init__(self, peak_tflops: float):
        self.peak_tflops = peak_tflops
        self.tokens: Tensor | int = 0
        self.positions = 0
        self.start = time.perf_counter()

    def count(self, batch: Batch) -> None:
        """Add a batch."""
        self.tokens = self.tokens + (batch.document >= 0).sum()
        self.positions += batch.ids.numel()

    def read(self, *, parameters: int) -> dict[str, float]:
        """Returns the metrics since the last call; `parameters` counts the blocks' weights, at 6 operations
        per token."""
        now = time.perf_counter()
        tokens = float(self.tokens)
        speed = tokens / (now - self.start)
        tflops = 6e-12 * speed * parameters
        padding = 1 - tokens / max(1, self.positions)
        figures = {"tokens_per_second": speed, "tflops": tflops, "padding": padding}
        if self.peak_tflops:
            figures["mfu"] = tflops / self.peak_tflops
        self.tokens, self.positions, self.start = 0, 0, now
        return figures


class Totals:
    """Loss sums of a validation run, over batches and ranks.

    Args:
        modalities: modalities that may have a loss.
    """

    def __init__(self, modalities: Iterable[str]):
        self.modalities = tuple(modalities)
        names = [f"{kind}/{name}" for name in self.modalities for kind in ("sum", "count", "wrong")]
        self.sums: dict[str, float] = dict.fromkeys(["total", "weight", *names], 0.0)

    def add(self, sums: LossSums) -> None:
        """Add a batch."""
        new = {"total": sums.total, "weight": sums.weight}
        for name in sums.count:
            new |= {f"sum/{name}": sums.cross_entropy[name], f"count/{name}": sums.count[name]}
            new[f"wrong/{name}"] = sums.wrong[name]
        for name, value in new.items():
            self.sums[name] += float(value)

    def losses(self, trainer: Trainer) -> dict[str, float]:
        """The loss of each modality in the data, in nats per id; errors as of `figures`."""
        return self._means("sum", self._sums(trainer))

    def figures(self, trainer: Trainer) -> dict[str, float]:
        """val/loss, and the loss, perplexity and error of each modality in the data.

        An error is the share of ids that are not the likeliest; val/error is the mean over the modalities, so
        that a text of few ids counts as much as an image of many.

        Raises ValueError if no target was measured.
        """
        sums = self._sums(trainer)
        figures = {"val/loss": sums["total"] / sums["weight"]}
        for name, mean in self._means("sum", sums).items():
            figures |= {f"val/loss_{name}": mean, f"val/perplexity_{name}": math.exp(min(mean, 80.0))}
        errors = self._means("wrong", sums)
        counted = [error for name, error in errors.items() if name != STRUCTURE] or [*errors.values()]
        figures |= {f"val/error_{name}": error for name, error in errors.items()}
        return figures | {"val/error": sum(counted) / len(counted)}

    def _sums(self, trainer: Trainer) -> dict[str, float]:
        """The sums over all processes."""
        sums = dict(zip(self.sums, sum_over_ranks(list(self.sums.values()), trainer), strict=True))
        if not sums["weight"]:
            raise ValueError(NOTHING_MEASURED)
        return sums

    def _means(self, kind: str, sums: Mapping[str, float]) -> dict[str, float]:
        """A sum's mean over the ids of each modality in the data."""
        counted = [name for name in self.modalities if sums[f"count/{name}"]]
        return {name: sums[f"{kind}/{name}"] / sums[f"count/{name}"] for name in counted}


class Means:
    """Means over the samples and ranks of a validation run.

    Args:
        names: of all metrics that may be added; every sample has the first.
    """

    def __init__(self, names: Iterable[str]):
        self.sums, self.counts = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)

    def add(self, figures: Mapping[str, Tensor], count: int) -> None:
        """Add the means of a batch of `count` samples."""
        for name, value in figures.items():
            self.sums[name] += float(value) * count
            self.counts[name] += count

    def figures(self, trainer: Trainer) -> dict[str, float]:
        """The metrics that any rank has measured. Raises ValueError if there was no sample."""
        counts = sum_over_ranks(list(self.counts.values()), trainer)
        if not counts[0]:
            raise ValueError(NOTHING_MEASURED)
        sums = sum_over_ranks(list(self.sums.values()), trainer)
        return {
            name: total / count for name, total, count in zip(self.sums, sums, counts, strict=True) if count
        }


def sum_over_ranks(values: list[float], trainer: Trainer) -> list[float]:
    """Sums numbers over all processes, in the widest float of their device."""
    if trainer.world_size == 1:
        return values
    device = trainer.strategy.root_device
    total = torch.tensor(values, dtype=widest_float(device), device=device)
    all_reduce(total)
    return total.tolist()
