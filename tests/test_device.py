"""Precisions by name, and what is said of one that is slow where it is asked for."""

import logging

import pytest
import torch

from unitok.device import fast_dtype, lacks_bfloat16, pick_dtype, widest_float

CPU = torch.device("cpu")


@pytest.mark.parametrize(("lacks", "lines"), [(True, 1), (False, 0)])
def test_bfloat16_is_given_where_it_is_asked_for_and_a_line_says_where_it_is_slow(
    lacks, lines, monkeypatch, caplog
):
    monkeypatch.setattr("unitok.device.lacks_bfloat16", lambda device: lacks)
    with caplog.at_level(logging.WARNING):
        assert pick_dtype("bfloat16", CPU) is torch.bfloat16
        assert pick_dtype("auto", CPU) is pick_dtype("float32", CPU) is torch.float32
    assert len(caplog.records) == lines


def test_a_cpu_without_the_library_of_its_instructions_lacks_bfloat16_and_no_gpu_does(monkeypatch):
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    assert lacks_bfloat16(CPU) and fast_dtype(CPU) is torch.float32
    assert not lacks_bfloat16(torch.device("cuda")) and fast_dtype(torch.device("cuda")) is torch.bfloat16


@pytest.mark.parametrize("name", ["int32", "half-precision", "cuda"])
def test_an_unknown_precision_is_named(name):
    with pytest.raises(ValueError, match=name):
        pick_dtype(name, CPU)


def test_float64_is_not_everywhere():
    assert widest_float(torch.device("mps")) is torch.float32
    assert widest_float(CPU) is widest_float(torch.device("cuda")) is torch.float64
