"""Bounds of the sizes in a configuration, and the error for one outside them."""

LARGEST, DEEPEST = 2**24, 2**10
"""Above the sizes of any real network: a corrupt configuration is rejected before it takes all memory."""


def check_sizes(**sizes: int) -> None:
    """Raises ValueError naming the sizes that are not integers from 1 to LARGEST."""
    _check(sizes, LARGEST)


def check_depths(**depths: int) -> None:
    """Raises ValueError naming the numbers of layers that are not integers from 1 to DEEPEST."""
    _check(depths, DEEPEST)


def _check(sizes: dict[str, int], most: int) -> None:
    wrong = [
        f"{name}={size!r}" for name, size in sizes.items() if type(size) is not int or not 1 <= size <= most
    ]
    if wrong:
        raise ValueError(f"sizes must be integers in 1..{most}, got {', '.join(wrong)}")
