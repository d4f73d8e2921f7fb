"""Lays out the codes of many documents as ids, positions and loss masks. Knows no content and no batch.

The ids around a segment's codes and the positions of all its ids depend on its modality and shape alone: they
are a SegmentLayout, computed once. So a segment costs a look-up, and the arithmetic is vectorised over all
documents.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from unitok.document import Codes, Features
from unitok.modalities.base import Modality
from unitok.tokens.cursor import Positions
from unitok.tokens.vocabulary import Vocabulary

CACHE_SIZE = 1024
"""Maximum number of cached segment layouts."""


class SegmentLayout(NamedTuple):
    """A segment without its codes, at time 0; `duration` is the time until the next segment.

    Each code is represented by the negative placeholder that `Layout` assigns to its modality.
    """

    ids: Int64[np.ndarray, " t"]
    positions: Int64[np.ndarray, "t 3"]
    learn: Bool[np.ndarray, " t"]
    codes: int
    duration: int


class FlatIds(NamedTuple):
    """Concatenated documents of ids, with the length of each.

    Ids above the vocabulary are rows of one table: the vectors of all `features`, in this order.
    """

    ids: Int64[np.ndarray, " t"]
    positions: Int64[np.ndarray, "t 3"]
    learn: Bool[np.ndarray, " t"]
    lengths: list[int]
    features: tuple[Features, ...] = ()

    @property
    def tiles(self) -> Tensor | None:
        """What a bridge reads to make the table; None where nothing is shown."""
        return join_tiles(self.features)


def join_tiles(features: Sequence[Features]) -> Tensor | None:
    """The tiles of several features as one batch of an encoder or bridge; None for none."""
    return torch.cat([one.values for one in features]) if features else None


class Layout:
    """Lays out documents as ids; the latest segment layouts are cached.

    Args:
        vocabulary: the id layout.
        modalities: by name, those of the vocabulary.
        positions: "grid" or "sequential", see Cursor.
    """

    def __init__(self, vocabulary: Vocabulary, modalities: Mapping[str, Modality], positions: Positions):
        self.vocabulary, self.modalities, self.positions = vocabulary, modalities, positions
        self._placeholders = {name: -1 - number for number, name in enumerate(modalities)}
        self._cache: dict[tuple, SegmentLayout] = {}
        self._document_begin = _single(vocabulary.document_begin, learn=False)
        self._document_end = _single(vocabulary.document_end, learn=True)

    def lay_out(
        self, documents: Sequence[Sequence[Codes]], *, open: str | None = None, done: bool = True
    ) -> FlatIds:
        """Returns the ids of documents, concatenated.

        Args:
            documents: their segments.
            open: modality of a segment that each document ends with, with a begin but no codes.
            done: end each document; one with an open segment is never ended.

        Raises:
            ValueError: codes do not fill their shape, or are outside their modality's range.
        """
        if not documents:
            return FlatIds(np.empty(0, np.int64), np.empty((0, 3), np.int64), np.empty(0, np.bool_), [])
        by_document = [self._segment_layouts(document, open, done) for document in documents]
        layouts = list(chain(*by_document))
        ids = np.concatenate([layout.ids for layout in layouts])
        self._fill_codes(ids, chain(*documents))
        positions = np.concatenate([layout.positions for layout in layouts])
        positions += np.repeat(_start_times(by_document), [len(layout.ids) for layout in layouts])[:, None]
        learn = np.concatenate([layout.learn for layout in layouts])
        lengths = [sum([len(layout.ids) for layout in document]) for document in by_document]
        return FlatIds(ids, positions, learn, lengths)

    def _segment_layouts(
        self, document: Sequence[Codes], open: str | None, done: bool
    ) -> list[SegmentLayout]:
        layouts = [self._document_begin, *self._layouts_of(document)]
        if open is not None:
            layouts.append(_single(self.vocabulary.begin(open), learn=True))
        elif done:
            layouts.append(self._document_end)
        return layouts

    def _layouts_of(self, document: Sequence[Codes]) -> Iterable[SegmentLayout]:
        """The layouts of a document's segments."""
        return map(self._segment_layout, document)

    def length(self, segment: Codes) -> int:
        """Number of ids of a segment, including begin, header and end."""
        return 2 + self.modalities[segment.modality].header_length + segment.codes.numel()

    def _fill_codes(self, ids: Int64[np.ndarray, " t"], segments: Iterable[Codes]) -> None:
        """Replace placeholders by the ids of the codes."""
        codes: dict[str, list] = {}
        for segment in segments:
            codes.setdefault(segment.modality, []).append(segment.codes)
        for name, tensors in codes.items():
            places = np.flatnonzero(ids == self._placeholders[name])
            ids[places] = self.vocabulary.to_ids(name, torch.cat(tensors)).numpy()

    def _segment_layout(self, segment: Codes) -> SegmentLayout:
        key = (segment.modality, segment.learn, *segment.shape)
        layout = self._cache.get(key)
        if layout is None:
            modality = self.modalities[segment.modality]
            layout = self._remember(key, self._new_layout(modality, segment.shape, segment.learn))
        if layout.codes != segment.codes.numel():
            raise ValueError(
                f"{segment.modality} of shape {segment.shape} must have {layout.codes} codes, "
                f"got {segment.codes.numel()}"
            )
        return layout

    def _remember(self, key: tuple, layout: SegmentLayout) -> SegmentLayout:
        """Cache a layout in place of the oldest one."""
        if len(self._cache) == CACHE_SIZE:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = layout
        return layout

    def _new_layout(self, modality: Modality, shape: tuple[int, ...], learn: bool) -> SegmentLayout:
        name, vocabulary = modality.name, self.vocabulary
        header = [vocabulary.to_range(name, range(code, code + 1)).start for code in modality.header(shape)]
        layout = self._enclose(
            name, header, modality.grid(shape).numpy(), sequential=modality.open_ended, learn=learn
        )
        layout.learn[-1] = learn and modality.open_ended
        return layout

    def _enclose(
        self,
        name: str,
        header: Sequence[int],
        grid: Int64[np.ndarray, "n 3"],
        *,
        sequential: bool = False,
        learn: bool = False,
    ) -> SegmentLayout:
        """A begin, header ids, a placeholder for each place of a grid, and an end."""
        if sequential or self.positions == "sequential":
            grid = np.arange(len(grid))[:, None].repeat(3, axis=1)
        before, duration = 1 + len(header), int(grid.max(initial=-1)) + 1
        placeholders = [self._placeholders[name]] * len(grid)
        ids = [self.vocabulary.begin(name), *header, *placeholders, self.vocabulary.end(name)]
        times = np.arange(before)[:, None].repeat(3, axis=1)
        return SegmentLayout(
            np.array(ids, np.int64),
            np.concatenate((times, grid + before, np.full((1, 3), before + duration))),
            np.full(len(ids), learn),
            codes=len(grid),
            duration=before + duration + 1,
        )


def _single(token: int, *, learn: bool) -> SegmentLayout:
    """The layout of a single id outside of segments, or of a begin."""
    return SegmentLayout(
        np.array([token]), np.zeros((1, 3), np.int64), np.array([learn]), codes=0, duration=1
    )


def _start_times(documents: Sequence[Sequence[SegmentLayout]]) -> list[int]:
    """Returns the time at which each segment begins in its document."""
    times = []
    for document in documents:
        clock = 0
        for layout in document:
            times.append(clock)
            clock += layout.duration
    return times
