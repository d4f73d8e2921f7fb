"""Requests to the engine, and the events it returns. Knows codes and ids, no model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from unitok.document import Codes
from unitok.generation.allowed_segments import AllowedSegments
from unitok.generation.sampling import Sampling

Shapes = Mapping[str, tuple[int, ...]]
Reason = Literal["ended", "budget", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A document to continue.

    Args:
        prompt: its segments so far.
        target: modality of the one segment to generate; None lets the model choose segments until it ends
            the document.
        sampling: settings for each modality.
        shapes: forced (rows, columns) of modalities whose shape is otherwise sampled.
        seed, copy: keys of the noise; equal prompts are sampled differently by their copy number.
        fixed: known codes of the new segment, -1 where the model fills one in.
        allowed: segments among which the new one must be; None for any.
        negative: prompt that guidance moves away from, in place of the empty prompt.
        max_segments: maximum number of new segments where there is no target.
    """

    prompt: Sequence[Codes]
    target: str | None = None
    sampling: Mapping[str, Sampling]
    shapes: Shapes | None = None
    seed: int = 0
    copy: int = 0
    fixed: Codes | None = None
    allowed: AllowedSegments | None = None
    negative: Sequence[Codes] = ()
    max_segments: int = 8

    def __post_init__(self):
        others = self.allowed.modalities - {self.target} if self.allowed else ()
        if others:
            raise ValueError(
                f"allowed segments must have the target's modality {self.target!r}, got {', '.join(others)}"
            )
        if self.allowed and self.fixed is not None:
            raise ValueError("allowed and fixed must not be given together")


@dataclass(frozen=True)
class Event:
    """Something that happened to the document with this number."""

    number: int
    segment: ClassVar[Codes | None] = None


@dataclass(frozen=True)
class SegmentProgress(Event):
    """`new` more ids of an incomplete segment, which now has `count` ids, its end excluded."""

    modality: str
    count: int
    new: int
    buffer: list[int] = field(repr=False)  # shared with the sequence, which appends to it

    @property
    def ids(self) -> list[int]:
        """All ids of the segment so far, including its header."""
        return self.buffer[: self.count]


@dataclass(frozen=True)
class SegmentDone(Event):
    """A complete segment."""

    segment: Codes


@dataclass(frozen=True)
class DocumentDone(Event):
    """The last event of a document: the model or the target ended it, a budget is spent, or it was
    cancelled."""

    reason: Reason
    segments: tuple[Codes, ...]
