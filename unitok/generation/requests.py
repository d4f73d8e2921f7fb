"""Requests to the engine, and the events it returns. Knows codes and ids, no model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from unitok.document import Codes
from unitok.generation.allowed_segments import Options
from unitok.generation.sampling import Sampling

Shapes = Mapping[str, tuple[int, ...]]
Reason = Literal["ended", "budget", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A document to go on with.

    Args:
        prompt: its segments so far.
        target: modality of the one segment to write; None lets the model choose until it ends the document.
        sampling: of each modality.
        shapes: forced (rows, columns) of modalities that have a choice.
        seed, copy: of the noise; equal prompts draw differently by their copy number.
        fixed: what is known of the new segment: its codes, -1 where the model writes them.
        options: what the new segment must be one of; None for any.
        negative: what guidance leads away from, in place of the empty prompt.
        max_segments: most segments to write where there is no target.
    """

    prompt: Sequence[Codes]
    target: str | None = None
    sampling: Mapping[str, Sampling]
    shapes: Shapes | None = None
    seed: int = 0
    copy: int = 0
    fixed: Codes | None = None
    options: Options | None = None
    negative: Sequence[Codes] = ()
    max_segments: int = 8

    def __post_init__(self):
        others = self.options.modalities - {self.target} if self.options else ()
        if others:
            raise ValueError(
                f"options are segments of the target {self.target!r}, not of {', '.join(others)}"
            )
        if self.options and self.fixed is not None:
            raise ValueError("a segment that is one of some options has no codes that are fixed besides")


@dataclass(frozen=True)
class Event:
    """Something that happened to the document of this number."""

    row: int
    segment: ClassVar[Codes | None] = None


@dataclass(frozen=True)
class Written(Event):
    """`new` more ids of a segment that is not complete, of `count` in all; its end is not among them."""

    modality: str
    count: int
    new: int
    written: list[int] = field(repr=False)

    @property
    def ids(self) -> list[int]:
        """All ids of the segment so far, its header included."""
        return self.written[: self.count]


@dataclass(frozen=True)
class SegmentDone(Event):
    """A complete segment."""

    segment: Codes


@dataclass(frozen=True)
class DocumentDone(Event):
    """Nothing more will come: the model or the target ended it, its budget is spent, or it was cancelled."""

    reason: Reason
    segments: tuple[Codes, ...]
