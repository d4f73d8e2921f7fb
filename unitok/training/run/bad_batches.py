"""Skips batches with non-finite values, and empty ones. Knows no model."""

EMPTY = "no target to learn in the batch"


class BadBatches:
    """Counts skipped batches, and ends a run that skips too many.

    Args:
        limit: number of skipped batches in a row that raises.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.in_a_row = self.skipped = self.good = 0
        self.last_reason = ""

    def count_good(self) -> None:
        """Count a good batch, which ends a row of skipped ones."""
        self.in_a_row = 0
        self.good += 1

    def check(self) -> None:
        """Raises ValueError if all batches so far were skipped: the run has learned nothing."""
        if self.skipped and not self.good:
            raise ValueError(f"all {self.skipped} batches were skipped: {self.last_reason}")

    def skip(self, reason: str, *, step: int) -> str:
        """Count a skipped batch; returns a message. Raises ValueError after too many in a row."""
        self.in_a_row += 1
        self.skipped += 1
        self.last_reason = reason
        if self.in_a_row >= self.limit:
            raise ValueError(
                f"step {step}: {reason}, {self.in_a_row} batches in a row; the last checkpoint is good"
            )
        return f"step {step}: {reason}, skipped ({self.in_a_row} in a row)"
