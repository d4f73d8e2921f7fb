"""The grammar of documents: which ids are legal next, and at which position. Knows no content."""

from collections.abc import Mapping
from typing import Literal

from unitok.modalities.base import Modality
from unitok.tokens.vocabulary import Vocabulary

Legal = range | tuple[int, ...]
Position = tuple[int, int, int]
Positions = Literal["grid", "sequential"]


class Cursor:
    """The state of one document between two ids.

    Between segments, every begin and `document_end` are legal; inside text, its codes and its end; inside an
    image, first its header codes (if any), then exactly as many codes as its shape has cells, then its end.

    Args:
        vocabulary: the id layout.
        modalities: by name, those of the vocabulary.
        positions: "grid" gives image codes (time, row, column) from their grid; "sequential" counts ids on
            all axes.
        shapes: forced shapes, where a header would let the model choose.
        clock: time of the next id, between two segments of an existing document; None at the start of a new
            one.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        modalities: Mapping[str, Modality],
        *,
        positions: Positions = "grid",
        shapes: Mapping[str, tuple[int, ...]] | None = None,
        clock: int | None = None,
    ):
        self.vocabulary, self.modalities, self.positions = vocabulary, modalities, positions
        self.shapes = dict(shapes or {})
        self.open: str | None = None
        self.done = False
        self._started = clock is not None
        self._clock = clock or 0
        self._begin_segment()

    def _begin_segment(self) -> None:
        self._header: list[int] = []
        self._shape: tuple[int, ...] | None = None
        self._count = 0
        self._base = self._clock
        self._grid: list[list[int]] | None = None

    @property
    def _cells(self) -> int:
        return len(self._grid) if self._grid is not None else -1

    @property
    def legal(self) -> Legal:
        """Legal next ids; empty when the document is done."""
        if self.done:
            return ()
        if not self._started:
            return (self.vocabulary.document_begin,)
        if self.open is None:
            return self.vocabulary.starters
        modality = self.modalities[self.open]
        if modality.open_ended:
            return self.vocabulary.block(self.open)
        if len(self._header) < modality.header_length:
            return self._legal_header(modality)
        if self._count < self._cells:
            return self._legal_cell(self._count)
        return (self.vocabulary.end(self.open),)

    def _legal_cell(self, place: int) -> range:
        """Legal ids at a place of the open grid; they depend on its depth where a cell has several codes."""
        ranges = self.modalities[self.open].cell_ranges
        return self.vocabulary.to_range(self.open, ranges[place % len(ranges)])

    def _legal_header(self, modality: Modality) -> Legal:
        legal = self.vocabulary.to_range(modality.name, modality.header_codes())
        if modality.name not in self.shapes:
            return legal
        code = modality.header(self.shapes[modality.name])[len(self._header)]
        return (self.vocabulary.to_id(modality.name, code),)

    @property
    def position(self) -> Position:
        """(time, row, column) of the next id."""
        if self._grid is not None and self._count < self._cells:
            return self._cell_position(self._count)
        return (self._clock, self._clock, self._clock)

    def _cell_position(self, place: int) -> Position:
        """(time, row, column) at a place of the open grid."""
        if self.positions == "sequential":
            clock = self._clock + place - self._count
            return (clock, clock, clock)
        time, row, column = self._grid[place]
        return (self._base + time, self._base + row, self._base + column)

    def lookahead(self, count: int) -> list[tuple[Legal, Position]]:
        """Legal ids and positions of the next `count` places, up to the end of the open grid."""
        places = range(self._count, min(self._count + count, self._cells))
        return [(self._legal_cell(place), self._cell_position(place)) for place in places]

    def push(self, token: int) -> None:
        """Append an id. Raises ValueError where it is illegal."""
        if token not in self.legal:
            where = f"inside {self.open!r}" if self.open else "between segments"
            raise ValueError(f"id {where} must be one of {self.legal}, got {token}")
        if not self._started:
            self._started = True
            self._clock += 1
        elif self.open is None:
            self._push_between(token)
        elif token == self.vocabulary.end(self.open):
            self.open = None
            self._clock += 1
            self._begin_segment()
        else:
            self._push_inside(token)

    def _push_between(self, token: int) -> None:
        self._clock += 1
        self.done = token == self.vocabulary.document_end
        self._begin_segment()
        if not self.done:
            self.open = self.vocabulary.modality_of_begin(token)
            self._set_grid()

    def _push_inside(self, token: int) -> None:
        modality = self.modalities[self.open]
        if len(self._header) < modality.header_length:
            self._header.append(self.vocabulary.to_code(self.open, token))
            self._clock += 1
            self._set_grid()
            return
        self._count += 1
        if modality.open_ended or self.positions == "sequential":
            self._clock += 1
        elif self._count == self._cells:
            self._clock = self._base + 1 + max(map(max, self._grid))

    def _set_grid(self) -> None:
        """Set the grid of the open segment once its header is complete."""
        modality = self.modalities[self.open]
        if modality.open_ended or len(self._header) < modality.header_length:
            return
        self._shape = modality.shape_of(self._header)
        self._grid = modality.grid(self._shape).tolist()
        self._base = self._clock
