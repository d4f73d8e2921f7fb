"""Sources whose documents are functions of a seed. Knows no world."""

from collections.abc import Sequence
from random import Random

from unitok.data.source import Source

SPLIT_SEEDS = 10**9
TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 0, SPLIT_SEEDS, 2 * SPLIT_SEEDS


class Seeded(Source):
    """`count` documents of consecutive seeds from `first_seed` on; all seeds must belong to one split.

    Training seeds start at TRAIN_SEED (0), validation at VALIDATION_SEED (10^9), test at TEST_SEED (2·10^9).

    Raises:
        ValueError: count is below 1, a seed is negative, or the seeds belong to two splits.
    """

    def __init__(self, first_seed: int, count: int):
        last = first_seed + count - 1
        if count < 1 or first_seed < 0 or split_of(first_seed) != split_of(last):
            raise ValueError(
                f"seeds must belong to one split, got {first_seed}..{last}; train, validation and test "
                f"start at {TRAIN_SEED}, {VALIDATION_SEED}, {TEST_SEED} and have {SPLIT_SEEDS} seeds each"
            )
        self.first_seed, self.count = first_seed, count

    def __len__(self) -> int:
        return self.count

    def seed(self, index: int) -> int:
        """The seed of the document at an index; negative indices count from the end."""
        if not -self.count <= index < self.count:
            raise IndexError(f"index {index} of a source of {self.count} documents")
        return self.first_seed + index % self.count


def split_of(seed: int) -> int:
    """The first seed of a seed's split."""
    return seed // SPLIT_SEEDS * SPLIT_SEEDS


def one_of(rng: Random, options: Sequence):
    """As `rng.choice`, but the same in every version of Python."""
    return options[int(rng.random() * len(options))]
