"""Bin packing by best fit: which documents share a row, with little padding. Knows no ids."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from heapq import heapreplace

MULTIPLE = 8
"""Row lengths below the capacity are multiples of this."""
NEGLIGIBLE = 0.005
"""Share of padding that is not worth a further search."""
Exchange = tuple[int, int | None]
"""The index that a bin gives away, and the one it gets in return, if any."""


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Packs indices into bins whose lengths sum to at most `capacity`: best fit decreasing, deterministic.

    Raises:
        ValueError: a length exceeds the capacity.
    """
    bins: list[list[int]] = []
    space: list[tuple[int, int]] = []  # (free, bin), sorted
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[index]
        if length > capacity:
            raise ValueError(f"document {index}: its length must be at most {capacity}, got {length}")
        place = bisect_left(space, (length, -1))
        free, which = space.pop(place) if place < len(space) else (capacity, len(bins))
        if which == len(bins):
            bins.append([])
        bins[which].append(index)
        insort(space, (free - length, which))
    return sorted(bins)


def pack_balanced(lengths: Sequence[int], count: int) -> list[list[int]]:
    """Packs `count` bins of nearly equal sums: each length, longest first, into the emptiest (Graham 1969).

    Then the fullest bin gives an index to the emptiest, or swaps it for a smaller one, while that brings
    their sums closer.
    """
    bins: list[list[int]] = [[] for _ in range(count)]
    filled = [(0, which) for which in range(count)]  # a heap
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        total, which = filled[0]
        bins[which].append(index)
        heapreplace(filled, (total + lengths[index], which))
    sums = {which: total for total, which in filled}
    _level_bins(lengths, bins, sums)
    return [sorted(members) for members in bins]


def _level_bins(lengths: Sequence[int], bins: list[list[int]], sums: dict[int, int]) -> None:
    """Exchanges indices between the fullest and the emptiest bin while that brings their sums closer."""
    while True:
        fullest, emptiest = max(sums, key=sums.__getitem__), min(sums, key=sums.__getitem__)
        exchange = _best_exchange(lengths, bins[fullest], bins[emptiest], gap=sums[fullest] - sums[emptiest])
        if exchange is None:
            return
        out, back = exchange
        bins[fullest].remove(out)
        bins[emptiest].append(out)
        if back is not None:
            bins[emptiest].remove(back)
            bins[fullest].append(back)
        moved = _moved_length(lengths, exchange)
        sums[fullest], sums[emptiest] = sums[fullest] - moved, sums[emptiest] + moved


def _best_exchange(lengths: Sequence[int], full: list[int], empty: list[int], *, gap: int) -> Exchange | None:
    """Returns the exchange that brings two bins closest, if any brings them closer."""
    exchanges = ((out, back) for out in full for back in (None, *empty))
    closer = (one for one in exchanges if 0 < _moved_length(lengths, one) < gap)
    return min(closer, key=lambda one: abs(gap - 2 * _moved_length(lengths, one)), default=None)


def _moved_length(lengths: Sequence[int], exchange: Exchange) -> int:
    out, back = exchange
    return lengths[out] - (0 if back is None else lengths[back])


def pack_tightly(lengths: Sequence[int], capacity: int) -> tuple[list[list[int]], int]:
    """Packs bins with little padding; returns them and their capacity, a multiple of 8 or the given one.

    The result of `best_fit`, or the tightest of up to twice as many balanced bins; the search ends at the
    first that leave less than `NEGLIGIBLE` empty. Six documents of 80 leave 6% of a row of 512 empty, but
    four of them fill a row of 320.

    Example:
        >>> pack_tightly([80] * 8, 512)
        ([[0, 2, 4, 6], [1, 3, 5, 7]], 320)
    """
    best = best_fit(lengths, capacity), capacity
    fewest = len(best[0])
    total, longest = sum(lengths), max(lengths, default=0)
    for count in range(max(1, fewest), 2 * fewest + 1):
        space = len(best[0]) * best[1]
        if total >= (1 - NEGLIGIBLE) * space:
            break
        if count * _round_up(max(longest, -(-total // count))) >= space:
            continue  # this number of bins cannot be tighter
        bins = pack_balanced(lengths, count)
        length = _round_up(max(sum(lengths[i] for i in members) for members in bins))
        if length <= capacity and count * length < space:
            best = bins, length
    return best


def _round_up(length: int) -> int:
    return -(-length // MULTIPLE) * MULTIPLE
