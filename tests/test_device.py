"""Devices and precisions by name; a line says which is slow, or lacks an operation."""

import logging

import pytest
import torch

from unitok import device
from unitok.device import fast_dtype, lacks_bfloat16, pick_device, pick_dtype, widest_float

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


@pytest.fixture
def mac(monkeypatch):
    """A Mac whose MPS does what the CPU does."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    checked = device.lacks_operations
    monkeypatch.setattr(device, "lacks_operations", lambda _: checked(CPU))


def test_auto_is_mps_where_every_operation_works(mac, caplog):
    assert pick_device("auto") == torch.device("mps") and not caplog.records
    assert pick_dtype("auto", torch.device("mps")) is torch.float32


@pytest.mark.parametrize("name", device._OPERATIONS)
def test_auto_is_the_cpu_where_mps_lacks_an_operation_or_gets_it_wrong(mac, name, monkeypatch, caplog):
    def lacking(_):
        raise NotImplementedError("not on MPS\nmore")

    monkeypatch.setitem(device._OPERATIONS, name, lacking)
    assert pick_device("auto") == CPU
    results = iter((torch.zeros(2), torch.ones(2)))
    monkeypatch.setitem(device._OPERATIONS, name, lambda _: next(results))
    assert pick_device("auto") == CPU
    assert [record.getMessage() for record in caplog.records] == [
        f"device: auto takes the CPU, not MPS: {name}: not on MPS",
        f"device: auto takes the CPU, not MPS: {name}: results differ from the CPU's",
    ]


def test_a_gpu_is_preferred_and_a_mac_without_mps_takes_the_cpu(mac, monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert pick_device("auto") == CPU
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert pick_device("auto") == torch.device("cuda")
