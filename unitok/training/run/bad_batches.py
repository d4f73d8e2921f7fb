"""Skips batches with non-finite values, and empty ones. Knows no model."""

EMPTY = "no document in the batch from which to learn"


class BadBatches:
    """Counts them, and ends a run that has only such.

    Args:
        most: in a row; the last of so many raises.
    """

    def __init__(self, most: int):
        self.most = most
        self.in_a_row = self.skipped = self.good = 0
        self.last = ""

    def end(self) -> None:
        """A good batch came."""
        self.in_a_row = 0
        self.good += 1

    def check(self) -> None:
        """Raises ValueError where there were batches, and not one was good: the run has learned nothing."""
        if self.skipped and not self.good:
            raise ValueError(f"nothing could be learned from any of {self.skipped} batches: {self.last}")

    def skip(self, what: str, *, step: int) -> str:
        """Count one; returns the line that tells of it. Raises ValueError after too many in a row."""
        self.in_a_row += 1
        self.skipped += 1
        self.last = what
        if self.in_a_row >= self.most:
            raise ValueError(
                f"step {step}: {what}, {self.in_a_row} batches in a row; the last checkpoint is good"
            )
        return f"step {step}: {what}, skipped ({self.in_a_row} in a row)"
