"""After freed memory is kept, large tensors come and go without new pages."""

import resource
import subprocess
import sys

import pytest

CODE = """
import resource, sys
import torch
from unitok.training.cores.freed_memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for number in range(12):
    if number == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**22), torch.ones(2**21)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is of glibc")
@pytest.mark.slow
def test_large_tensors_reuse_their_pages():
    def faults(how: str) -> int:
        ran = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True)
        return int(ran.stdout)

    pages = 2**24 // resource.getpagesize()
    assert faults("keep") < pages < faults("leave")


def test_a_system_without_it_is_left_alone(monkeypatch):
    from unitok.training.cores import freed_memory

    monkeypatch.setattr(freed_memory.ctypes, "CDLL", lambda name: object())
    freed_memory.keep_freed_memory()
