"""Batches that are left out because something in them is not finite. Knows no model."""


class BadBatches:
    """Counts them, and ends a run that has only such.

    Args:
        most: in a row; the last of so many raises.
    """

    def __init__(self, most: int):
        self.most = most
        self.in_a_row = self.skipped = 0

    def end(self) -> None:
        """A good batch came."""
        self.in_a_row = 0

    def skip(self, what: str, *, step: int) -> str:
        """Count one; returns the line that tells of it. Raises ValueError after too many in a row."""
        self.in_a_row += 1
        self.skipped += 1
        if self.in_a_row >= self.most:
            raise ValueError(
                f"step {step}: {what}, {self.in_a_row} batches in a row; the last checkpoint is good"
            )
        return f"step {step}: {what}, skipped ({self.in_a_row} in a row)"
