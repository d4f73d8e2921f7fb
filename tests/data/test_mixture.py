"""A mixture has the shares that were asked for, and every document of each source."""

import logging
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worlds import Named
from unitok.data.mixture import Mixture


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0.5, 4)), min_size=1, max_size=4))
def test_shares_are_as_asked_and_each_document_comes_as_often_as_its_neighbours(parts):
    mixture = Mixture([Named(str(i), size) for i, (size, _) in enumerate(parts)], [w for _, w in parts])
    seen = Counter(document[0].content for document in mixture)
    whole = sum(weight for _, weight in parts)
    for i, (size, weight) in enumerate(parts):
        counts = [seen[f"{i}.{j}"] for j in range(size)]
        assert min(counts) >= 1 and max(counts) - min(counts) <= 1
        assert sum(counts) == pytest.approx(len(mixture) * weight / whole, abs=len(parts) + 1)
    assert sum(seen.values()) == len(mixture)
    assert min(sum(seen[f"{i}.{j}"] for j in range(n)) / n for i, (n, _) in enumerate(parts)) == 1


def test_the_realised_mixture_is_logged(caplog):
    with caplog.at_level(logging.INFO):
        assert len(Mixture([Named("a", 10), Named("b", 90)], [1, 1])) == 180
    assert "Named of 10 documents: 90 an epoch, 50.0% of the mixture" in caplog.text


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -2]])
def test_wrong_weights_are_refused(weights):
    with pytest.raises(ValueError, match="2 sources need as many weights above 0"):
        Mixture([Named("a", 1), Named("b", 1)], weights)
    with pytest.raises(ValueError, match="is empty"):
        Mixture([Named("a", 0), Named("b", 1)], [1, 1])
