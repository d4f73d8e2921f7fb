"""The Modality interface: content to local codes and back, and the grammar of its segments. Knows no joint
ids."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor


class Modality(ABC):
    """Turns one segment's content into codes 0..size-1 and back.

    A segment of codes is a header (codes that state its shape, possibly none), then one code per cell of its
    grid. Where the shape is open-ended (text), the segment ends with the vocabulary's `end` instead of by
    count.
    """

    name: str
    size: int
    """Number of local codes, header codes included."""

    @abstractmethod
    def encode(self, content: Any) -> tuple[Int64[Tensor, " n"], tuple[int, ...]]:
        """Codes of a segment's content and their shape, without header. ValueError for foreign content."""

    @abstractmethod
    def decode(self, codes: Int64[Tensor, " n"], shape: tuple[int, ...]) -> Any:
        """Content of a segment's codes."""

    @abstractmethod
    def grid(self, shape: tuple[int, ...]) -> Int64[Tensor, "n 3"]:
        """(time, row, column) of each code, relative to the segment's first code."""

    def encode_many(self, contents: Sequence[Any]) -> list[tuple[Int64[Tensor, " _"], tuple[int, ...]]]:
        """`encode` of several contents; a modality with a network does them in one batch."""
        return [self.encode(content) for content in contents]

    def decode_many(
        self, codes: Sequence[Int64[Tensor, " _"]], shapes: Sequence[tuple[int, ...]]
    ) -> list[Any]:
        """`decode` of several segments."""
        return [self.decode(c, shape) for c, shape in zip(codes, shapes, strict=True)]

    @property
    def cells(self) -> range:
        """Local codes that fill the grid; the rest of 0..size-1 are header codes."""
        return range(self.size)

    @property
    def cell_ranges(self) -> tuple[range, ...]:
        """What may fill the grid's places in turn: more than one where a cell has several codes."""
        return (self.cells,)

    @property
    def open_ended(self) -> bool:
        """Whether a segment lasts until `end` instead of a number of cells that its shape states."""
        return False

    @property
    def header_length(self) -> int:
        """Number of header codes before the grid: 0 where the shape is fixed or open-ended."""
        return 0

    @property
    def largest_shape(self) -> tuple[int, ...]:
        """Shape with the most cells, where segments are not open-ended."""
        raise ValueError(f"segments of {self.name!r} have no largest shape")

    def header(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Header codes that state `shape`."""
        return ()

    def header_codes(self) -> range:
        """Legal codes at every header place."""
        return range(self.size, self.size)

    def shape_of(self, header: Sequence[int]) -> tuple[int, ...]:
        """Shape that a complete header states."""
        raise ValueError(f"segments of {self.name!r} are open-ended: no header states their shape")

    def features(self) -> Float[Tensor, "n d"] | None:
        """A vector per cell code, near for codes of like content; None where nothing is known of them."""
        return None

    def look(self) -> str:
        """What `features` depend on, in letters; empty where they cost nothing to make again."""
        return ""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hash that changes whenever the same content may get other codes."""
