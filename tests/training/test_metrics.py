"""Metrics are summed over processes, also on a device without float64."""

from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import Trainer

from unitok.training import metrics


@pytest.mark.parametrize("widest", [torch.float64, torch.float32])
def test_sums_over_processes_are_as_exact_as_the_device_allows(monkeypatch, widest):
    seen = []
    monkeypatch.setattr(metrics, "widest_float", lambda device: widest)
    monkeypatch.setattr(metrics, "all_reduce", lambda total: seen.append(total.dtype) or total.mul_(2))
    trainer = Mock(spec=Trainer, world_size=2, strategy=Mock(root_device=torch.device("cpu")))
    assert metrics.sum_over_ranks([0.5, 3.0], trainer) == [1.0, 6.0] and seen == [widest]
