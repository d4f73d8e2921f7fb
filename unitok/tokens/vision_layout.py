"""Lays out images that are shown as vectors: ids above the vocabulary, between vision's begin and end.

A vector's id is its row in the table that a bridge makes of the features of all documents laid out together.
So ids stay the whole truth about a sequence: packing, masks and the cache know nothing of vectors.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
from jaxtyping import Int64

from unitok.document import Codes, Features
from unitok.modalities.base import Modality
from unitok.tokens.cursor import Positions
from unitok.tokens.layout import FlatIds, Layout, SegmentLayout
from unitok.tokens.vocabulary import Vocabulary

VISION = "vision"
"""The name, in a vocabulary, of the begin and the end around vectors."""


class VisionLayout(Layout):
    """Lays out documents whose shown images are vectors; see Layout.

    Args:
        with_codes: lay out the codes of a shown image, too, after its vectors.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        modalities: Mapping[str, Modality],
        positions: Positions,
        *,
        with_codes: bool,
    ):
        super().__init__(vocabulary, modalities, positions)
        self.with_codes = with_codes
        self._placeholders[VISION] = -1 - len(modalities)

    def lay_out(
        self, documents: Sequence[Sequence[Codes]], *, open: str | None = None, done: bool = True
    ) -> FlatIds:
        flat = super().lay_out(documents, open=open, done=done)
        shown = tuple(segment.features for segment in chain(*documents) if segment.shown)
        vectors = self.vocabulary.vectors(sum(features.count for features in shown))
        flat.ids[flat.ids == self._placeholders[VISION]] = np.arange(vectors.start, vectors.stop)
        return flat._replace(features=shown)

    def length(self, segment: Codes) -> int:
        seen = 2 + segment.features.count if segment.shown else 0
        written = super().length(segment) if self.with_codes or not segment.shown else 0
        return seen + written

    def _layouts_of(self, document: Sequence[Codes]) -> Iterator[SegmentLayout]:
        for segment in document:
            if segment.shown:
                yield self._vision_layout(segment.features)
            if self.with_codes or not segment.shown:
                yield self._segment_layout(segment)

    def _fill_codes(self, ids: Int64[np.ndarray, " t"], segments: Iterable[Codes]) -> None:
        super()._fill_codes(ids, (one for one in segments if self.with_codes or not one.shown))

    def _vision_layout(self, features: Features) -> SegmentLayout:
        layout = self._cache.get(key := (VISION, features.shape, features.arrangements))
        if layout is None:
            placed = len(features.shape) == 2
            grid = global_grid(features) if placed else np.zeros((features.count, 3), np.int64)
            layout = self._remember(key, self._enclose(VISION, [], grid, sequential=not placed))
        return layout


def global_grid(features: Features) -> Int64[np.ndarray, "n 3"]:
    """Time, row and column of each vector, tile by tile; rows and columns run over all tiles of a time, as
    M-RoPE has it of images of any resolution (Qwen2-VL, arXiv:2409.12191, section 2.1)."""
    rows, columns = features.shape
    grids = []
    for time, arrangement in enumerate(features.arrangements):
        tile_row, tile_column, row, column = np.indices((*arrangement, rows, columns), np.int64).reshape(
            4, -1
        )
        places = (np.full_like(row, time), tile_row * rows + row, tile_column * columns + column)
        grids.append(np.stack(places, axis=1))
    return np.concatenate(grids)
