"""A line of the cache: what it has read and what it has still to read. Knows positions, not what ids mean."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unitok.cursor import Position
from unitok.document import Tokens

if TYPE_CHECKING:
    from unitok.generation.row import Row


@dataclass(eq=False)
class Lane:
    """A line of the cache: a branch of a row, with the ids that it has not read yet.

    `shift` is how far its clock is from the first branch's, `held` how many ids it has read, `last` where
    the hidden state of the last of them is.
    """

    row: "Row"
    ids: list[int]
    positions: list[Position]
    weight: float = 1.0
    shift: int = 0
    held: int = 0
    last: int = 0
    gone: bool = False

    def add(self, token: int, position: Position) -> None:
        """One more id to read."""
        self.ids.append(token)
        self.positions.append(self.shifted(position))

    def shifted(self, position: Position) -> Position:
        """A position of the first branch as one of this."""
        if not self.shift:
            return position
        time, row, column = position
        return (time + self.shift, row + self.shift, column + self.shift)


def unread(row: "Row", tokens: Tokens, *, weight: float = 1.0, shift: int = 0) -> Lane:
    """A line that has all these ids still to read."""
    return Lane(row, tokens.ids.tolist(), list(map(tuple, tokens.positions.tolist())), weight, shift)
