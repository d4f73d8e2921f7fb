"""Metrics are summed over processes, also on a device without float64."""

from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import Trainer

from unitok.models.cross_entropy import LossSums
from unitok.training import metrics


@pytest.mark.parametrize("widest", [torch.float64, torch.float32])
def test_sums_over_processes_are_as_exact_as_the_device_allows(monkeypatch, widest):
    seen = []
    monkeypatch.setattr(metrics, "widest_float", lambda device: widest)
    monkeypatch.setattr(metrics, "all_reduce", lambda total: seen.append(total.dtype) or total.mul_(2))
    trainer = Mock(spec=Trainer, world_size=2, strategy=Mock(root_device=torch.device("cpu")))
    assert metrics.sum_over_ranks([0.5, 3.0], trainer) == [1.0, 6.0] and seen == [widest]


def test_the_error_is_the_mean_of_the_modalities_errors():
    def by(**values: float) -> dict[str, torch.Tensor]:
        return {name: torch.tensor(value) for name, value in values.items()}

    totals = metrics.Totals(("structure", "text", "image", "box"))
    entropy, count = by(structure=0.0, text=4.0, image=8.0), by(structure=10.0, text=4.0, image=16.0)
    for wrong in (by(structure=0.0, text=1.0, image=12.0), by(structure=0.0, text=3.0, image=12.0)):
        weight = torch.tensor(30.0)
        totals.add(LossSums(torch.tensor(12.0), weight, entropy, count, square=entropy, wrong=wrong))
    figures = totals.figures(Mock(spec=Trainer, world_size=1))
    assert figures["val/error_text"] == 0.5 and figures["val/error_image"] == 0.75
    assert figures["val/error"] == 0.625 and figures["val/loss"] == pytest.approx(0.4)
    assert "val/error_box" not in figures
