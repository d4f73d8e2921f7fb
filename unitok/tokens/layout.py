"""Lays out the codes of many documents as ids, positions and loss masks. Knows no content and no batch.

What a segment adds around its codes, and where its codes lie, depends on its modality and shape alone: it is
a SegmentLayout, made once. So a segment costs a look-up, and all documents share the arithmetic.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64

from unitok.document import Codes, Tokens
from unitok.modalities.base import Modality
from unitok.tokens.cursor import Positions
from unitok.tokens.vocabulary import Vocabulary

REMEMBERED = 1024
"""Frames that a layout keeps."""


class SegmentLayout(NamedTuple):
    """A segment without its codes, at time 0; `extent` is how far time goes on meanwhile.

    In place of each code stands the negative number that `Layout` has for its modality.
    """

    ids: Int64[np.ndarray, " t"]
    positions: Int64[np.ndarray, "t 3"]
    learn: Bool[np.ndarray, " t"]
    codes: int
    extent: int


class FlatIds(NamedTuple):
    """Documents of ids, one after another, each of so many."""

    ids: Int64[np.ndarray, " t"]
    positions: Int64[np.ndarray, "t 3"]
    learn: Bool[np.ndarray, " t"]
    lengths: list[int]

    def tokens(self) -> list[Tokens]:
        """The documents one by one."""
        parts = (torch.from_numpy(array).split(self.lengths) for array in self[:3])
        return list(map(Tokens, *parts))


class Layout:
    """How documents of a model lie in ids; the latest frames are remembered.

    Args:
        vocabulary: the id layout.
        modalities: by name; those of the vocabulary.
        positions: "grid" or "sequential", see Cursor.
    """

    def __init__(self, vocabulary: Vocabulary, modalities: Mapping[str, Modality], positions: Positions):
        self.vocabulary, self.modalities, self.positions = vocabulary, modalities, positions
        self._blanks = {name: -1 - number for number, name in enumerate(modalities)}
        self._frames: dict[tuple, SegmentLayout] = {}
        self._first = _single(vocabulary.document_begin, learn=False)
        self._last = _single(vocabulary.document_end, learn=True)

    def lay(
        self, documents: Sequence[Sequence[Codes]], *, open: str | None = None, done: bool = True
    ) -> FlatIds:
        """Documents, one after another.

        Args:
            documents: their segments.
            open: modality of a segment that each ends with, begun but without a code.
            done: end each; one with an open segment is never ended.

        Raises:
            ValueError: codes that do not fill their shape, or are outside their modality's.
        """
        if not documents:
            return FlatIds(np.empty(0, np.int64), np.empty((0, 3), np.int64), np.empty(0, np.bool_), [])
        framed = [self._framed(document, open, done) for document in documents]
        frames = list(chain(*framed))
        ids = np.concatenate([frame.ids for frame in frames])
        self._fill(ids, chain(*documents))
        positions = np.concatenate([frame.positions for frame in frames])
        positions += np.repeat(_clocks(framed), [len(frame.ids) for frame in frames])[:, None]
        learn = np.concatenate([frame.learn for frame in frames])
        return FlatIds(ids, positions, learn, [sum([len(f.ids) for f in document]) for document in framed])

    def _framed(self, document: Sequence[Codes], open: str | None, done: bool) -> list[SegmentLayout]:
        frames = [self._first, *map(self._frame, document)]
        if open is not None:
            frames.append(_single(self.vocabulary.begin(open), learn=True))
        elif done:
            frames.append(self._last)
        return frames

    def _fill(self, ids: Int64[np.ndarray, " t"], segments: Iterable[Codes]) -> None:
        """Put the codes' ids where their blanks are."""
        codes: dict[str, list] = {}
        for segment in segments:
            codes.setdefault(segment.modality, []).append(segment.codes)
        for name, parts in codes.items():
            blanks = np.flatnonzero(ids == self._blanks[name])
            ids[blanks] = self.vocabulary.to_ids(name, torch.cat(parts)).numpy()

    def _frame(self, segment: Codes) -> SegmentLayout:
        key = (segment.modality, segment.learn, *segment.shape)
        frame = self._frames.get(key)
        if frame is None:
            frame = self._new_frame(self.modalities[segment.modality], segment.shape, segment.learn)
            if len(self._frames) == REMEMBERED:
                del self._frames[next(iter(self._frames))]
            self._frames[key] = frame
        if frame.codes != segment.codes.numel():
            raise ValueError(
                f"{segment.modality} of shape {segment.shape} has {frame.codes} codes, "
                f"not {segment.codes.numel()}"
            )
        return frame

    def _new_frame(self, modality: Modality, shape: tuple[int, ...], learn: bool) -> SegmentLayout:
        name, words = modality.name, self.vocabulary
        header = [words.to_range(name, range(code, code + 1)).start for code in modality.header(shape)]
        grid = modality.grid(shape).numpy()
        if modality.open_ended or self.positions == "sequential":
            grid = np.arange(len(grid))[:, None].repeat(3, axis=1)
        before, extent = 1 + len(header), int(grid.max(initial=-1)) + 1
        ids = [words.begin(name), *header, *[self._blanks[name]] * len(grid), words.end(name)]
        times = np.arange(before)[:, None].repeat(3, axis=1)
        learned = np.full(len(ids), learn)
        learned[-1] = learn and modality.open_ended
        return SegmentLayout(
            np.array(ids, np.int64),
            np.concatenate((times, grid + before, np.full((1, 3), before + extent))),
            learned,
            codes=len(grid),
            extent=before + extent + 1,
        )


def _single(token: int, *, learn: bool) -> SegmentLayout:
    """An id that belongs to no segment, or begins one."""
    return SegmentLayout(np.array([token]), np.zeros((1, 3), np.int64), np.array([learn]), codes=0, extent=1)


def _clocks(framed: Sequence[Sequence[SegmentLayout]]) -> list[int]:
    """When each frame begins in its document."""
    clocks = []
    for document in framed:
        clock = 0
        for frame in document:
            clocks.append(clock)
            clock += frame.extent
    return clocks
