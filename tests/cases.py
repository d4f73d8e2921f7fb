"""Sizes of randomised tests: few cases in `make test`, many in `make test-all`."""

import pytest

FEW, MANY = 200, 10_000


def cases(few: int = FEW, many: int = MANY):
    """Gives a test its `count` of cases: `few`, and `many` in a slow run of its own."""
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.slow)])
