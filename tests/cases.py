"""Sizes of tests: few cases in `make test`, many in `make test-all`."""

import pytest

FEW, MANY = 200, 10_000


def cases(few: int = FEW, many: int = MANY):
    """Gives a test its `count` of cases: `few`, and `many` in a slow run of its own."""
    return pytest.mark.parametrize("count", [few, rare(many)])


def rare(*values):
    """Values of a case that runs in `make test-all` alone."""
    return pytest.param(*values, marks=pytest.mark.slow)
