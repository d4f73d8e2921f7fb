"""Bounds of the sizes in a configuration, and the error for one outside them."""

LARGEST, DEEPEST = 2**24, 2**10
"""Beyond what any network has: a damaged configuration must not take all memory before it is refused."""


def check_sizes(**sizes: int) -> None:
    """Raises ValueError naming the sizes that are no whole numbers of at least 1, or larger than any."""
    _check(sizes, LARGEST)


def check_depths(**depths: int) -> None:
    """The same for numbers of layers."""
    _check(depths, DEEPEST)


def _check(sizes: dict[str, int], most: int) -> None:
    fit = {name: type(size) is int and 1 <= size <= most for name, size in sizes.items()}
    wrong = [f"{name}={size}" for name, size in sizes.items() if not fit[name]]
    if wrong:
        raise ValueError(f"got {', '.join(wrong)}; expected whole numbers of at least 1 and at most {most}")
