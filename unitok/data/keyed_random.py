"""Random numbers as a pure function of (seed, epoch, index, stream). Knows no generator and no state.

The numbers for a document depend on nothing else: not on its batch, its worker, or earlier random numbers.
"""

from functools import lru_cache
from zlib import crc32

import numpy as np
from jaxtyping import Int64

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


def uniform(seed: int, epoch: int, index: int, stream: str) -> float:
    """Returns a number in [0, 1); `stream` names the decision, so that two decisions are independent."""
    return (_mix(_key(seed, epoch, stream) + (index + 1) * _GOLDEN & _MASK) >> 11) * 2.0**-53


def permutation(count: int, *, seed: int, epoch: int) -> Int64[np.ndarray, " count"]:
    """Returns the numbers 0..count-1 in the order of an epoch."""
    counters = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    return np.argsort(_mix(counters + np.uint64(_key(seed, epoch, "order"))), kind="stable")


@lru_cache(maxsize=64)
def _key(seed: int, epoch: int, stream: str) -> int:
    key = crc32(stream.encode())
    for number in (seed, epoch):
        key = _mix((key ^ number & _MASK) + _GOLDEN & _MASK)
    return key


def _mix(x):
    """The finaliser of splitmix64 (Steele et al. 2014), for a Python int or uint64 values."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & _MASK
    return x ^ (x >> 31)
