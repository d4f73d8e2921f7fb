"""Sources of consecutive seeds stay in one split, and index like lists."""

import pytest

from unitok.worlds.seeded import SPLIT_SEEDS, TEST_SEED, VALIDATION_SEED, Seeded, split_of


class Numbers(Seeded):
    """Documents that are their seeds."""

    def __getitem__(self, index: int) -> int:
        return self.seed(index)


def test_indexes_are_seeds_and_negative_ones_count_from_the_end():
    source = Numbers(VALIDATION_SEED, 3)
    assert list(source) == [VALIDATION_SEED + i for i in range(3)]
    assert source[-1] == VALIDATION_SEED + 2 and len(source) == 3
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index {index} of a source of 3"):
            source[index]


@pytest.mark.parametrize("first, count", [(0, 0), (-1, 1), (SPLIT_SEEDS - 1, 2), (5, -3)])
def test_seeds_of_two_splits_or_of_none_are_refused(first, count):
    with pytest.raises(ValueError, match=f"one split, got {first}"):
        Numbers(first, count)


def test_a_split_begins_at_its_first_seed():
    assert [split_of(seed) for seed in (0, SPLIT_SEEDS - 1, TEST_SEED + 7)] == [0, 0, TEST_SEED]
