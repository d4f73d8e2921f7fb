"""Bin packing by best fit: which documents share a row, with little padding. Knows no ids."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from heapq import heapreplace

EVEN = 8
"""Bins hold a multiple of so many, where they hold less than they may."""
LITTLE = 0.005
"""Share left empty that is not worth a further search."""
Exchange = tuple[int, int | None]
"""An index that a bin gives, and what it gets for it."""


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Bins of indices whose lengths sum to at most `capacity`: best fit decreasing, deterministic.

    Raises:
        ValueError: a length exceeds the capacity.
    """
    bins: list[list[int]] = []
    space: list[tuple[int, int]] = []  # (free, bin), sorted
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[index]
        if length > capacity:
            raise ValueError(f"document {index} takes {length} places; a row has {capacity}")
        place = bisect_left(space, (length, -1))
        free, which = space.pop(place) if place < len(space) else (capacity, len(bins))
        if which == len(bins):
            bins.append([])
        bins[which].append(index)
        insort(space, (free - length, which))
    return sorted(bins)


def balanced(lengths: Sequence[int], count: int) -> list[list[int]]:
    """`count` bins of nearly equal sums: each length, longest first, into the emptiest bin (Graham 1969).

    Then the fullest bin gives one to the emptiest, perhaps for a smaller one, while that brings them closer.
    """
    bins: list[list[int]] = [[] for _ in range(count)]
    filled = [(0, which) for which in range(count)]  # a heap
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        total, which = filled[0]
        bins[which].append(index)
        heapreplace(filled, (total + lengths[index], which))
    sums = {which: total for total, which in filled}
    _level(lengths, bins, sums)
    return [sorted(members) for members in bins]


def _level(lengths: Sequence[int], bins: list[list[int]], sums: dict[int, int]) -> None:
    """Bring the fullest and the emptiest bin closer for as long as an exchange does."""
    while True:
        fullest, emptiest = max(sums, key=sums.__getitem__), min(sums, key=sums.__getitem__)
        exchange = _closest(lengths, bins[fullest], bins[emptiest], gap=sums[fullest] - sums[emptiest])
        if exchange is None:
            return
        given, taken = exchange
        bins[fullest].remove(given)
        bins[emptiest].append(given)
        if taken is not None:
            bins[emptiest].remove(taken)
            bins[fullest].append(taken)
        moved = _moved(lengths, exchange)
        sums[fullest], sums[emptiest] = sums[fullest] - moved, sums[emptiest] + moved


def _closest(lengths: Sequence[int], full: list[int], empty: list[int], *, gap: int) -> Exchange | None:
    """The exchange after which two bins are closest, if any brings them closer."""
    ways = ((given, taken) for given in full for taken in (None, *empty))
    closer = (way for way in ways if 0 < _moved(lengths, way) < gap)
    return min(closer, key=lambda way: abs(gap - 2 * _moved(lengths, way)), default=None)


def _moved(lengths: Sequence[int], exchange: Exchange) -> int:
    given, taken = exchange
    return lengths[given] - (0 if taken is None else lengths[taken])


def tightest(lengths: Sequence[int], capacity: int) -> tuple[list[list[int]], int]:
    """Bins of which little is left empty, and their capacity: a multiple of 8, or the one given.

    Those of `best_fit`, or the best of up to twice as many balanced ones; of large batches the first that
    leave less than `LITTLE` empty. Six documents of 80 leave 6% of a row of 512 empty, but four of them fill
    one of 320.

    Example:
        >>> tightest([80] * 8, 512)
        ([[0, 2, 4, 6], [1, 3, 5, 7]], 320)
    """
    best = best_fit(lengths, capacity), capacity
    fewest = len(best[0])
    total, longest = sum(lengths), max(lengths, default=0)
    for count in range(max(1, fewest), 2 * fewest + 1):
        space = len(best[0]) * best[1]
        if total >= (1 - LITTLE) * space:
            break
        if count * _even(max(longest, -(-total // count))) >= space:
            continue  # no bins of that number could be tighter
        bins = balanced(lengths, count)
        length = _even(max(sum(lengths[i] for i in members) for members in bins))
        if length <= capacity and count * length < space:
            best = bins, length
    return best


def _even(length: int) -> int:
    return -(-length // EVEN) * EVEN
