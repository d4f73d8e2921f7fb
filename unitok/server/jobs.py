"""Jobs for the worker, and the events it returns. Knows engine requests, no HTTP and no thread."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from unitok.api.previews import Update
from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.generation.requests import DocumentDone, Request, SegmentProgress
from unitok.server.stop_sequences import before_stop
from unitok.tokens.codec import Codec

FinishReason = Literal["stop", "length"]
Kind = Literal["chat", "response", "draw", "edit"]


@dataclass(frozen=True)
class JobEvent:
    """An event of a job."""


@dataclass(frozen=True)
class Accepted(JobEvent):
    """The engine has accepted all documents of the job."""


@dataclass(frozen=True)
class Progress(JobEvent):
    """A segment of a copy, in progress or complete."""

    copy: int
    update: Update


@dataclass(frozen=True)
class Done(JobEvent):
    """A copy is complete.

    `reason` is "length" if a limit ended it; `prompt_codes` and `new_codes` count codes by modality.
    """

    copy: int
    reason: FinishReason
    document: Document
    prompt_codes: Counter[str]
    new_codes: Counter[str]


@dataclass(frozen=True)
class Failed(JobEvent):
    """The last event of a failed job: a ValueError if its request was invalid, else an unexpected error."""

    error: BaseException


@dataclass(eq=False)
class Job:
    """A client's request: copies of a document to generate.

    Args:
        kind: "chat", "response", "draw" or "edit", for the metrics.
        prepare: builds the engine's request, in another thread; raises ValueError if it is invalid.
        emit: takes events, called in the worker's threads; must not block.
        copies: number of documents.
        stream_text: whether text is emitted as it is generated.
        previews: most previews of a segment, such as an image, before it is complete.
        stops: texts before which a document ends.

    The worker owns the other fields: `numbers` of the job's documents in the engine, how many documents are
    `unfinished`, and whether the job is `closed` and takes no more events.
    """

    kind: Kind
    prepare: Callable[[UniTok], Request]
    emit: Callable[[JobEvent], None]
    copies: int = 1
    stream_text: bool = False
    previews: int = 0
    stops: Sequence[str] = ()
    numbers: set[int] = field(default_factory=set)
    unfinished: int = 0
    closed: bool = False

    def __post_init__(self):
        self.unfinished = self.copies


@dataclass(eq=False)
class RunningCopy:
    """A copy of a job in the engine, with its complete segments."""

    job: Job
    copy: int
    request: Request
    segments: list[Segment] = field(default_factory=list)
    new_codes: Counter[str] = field(default_factory=Counter)
    previews: int = 0

    def done(self, reason: FinishReason) -> Done:
        """The event that it is complete."""
        prompt_codes: Counter[str] = Counter()
        for codes in self.request.prompt:
            prompt_codes[codes.modality] += codes.features.count if codes.shown else len(codes.codes)
        return Done(self.copy, reason, tuple(self.segments), prompt_codes, self.new_codes)

    def needs_update(self, codec: Codec, event: SegmentProgress) -> bool:
        """Whether new codes must be decoded now, to be emitted or searched for stops."""
        if event.modality == "text":
            return self.job.stream_text or bool(self.job.stops)
        return self.previews < self.job.previews and self._preview_is_due(codec, event)

    def _preview_is_due(self, codec: Codec, event: SegmentProgress) -> bool:
        """Whether enough steps are complete for the next of the previews, which are evenly spaced."""
        modality, vocabulary = codec.modalities[event.modality], codec.vocabulary
        length = modality.header_length
        if modality.open_ended or event.count <= length:
            return False
        header = [vocabulary.to_code(event.modality, token) for token in event.ids[:length]]
        step = modality.preview_step(header)
        if not step:
            return False
        steps = len(modality.grid(modality.shape_of(header))) // step
        complete = (event.count - length) // step
        return complete * (self.job.previews + 1) >= steps * (self.previews + 1) and complete < steps

    def before_stop(self, text: str) -> str | None:
        """`text` before the job's first stop in it; None if there is none."""
        return before_stop(text, self.job.stops)

    def finish_reason(self, codec: Codec, event: DocumentDone, *, max_length: int) -> FinishReason:
        """Whether a document ended by itself or at a limit: of a text, of segments, or `max_length`."""
        last = event.segments[-1] if event.segments else None
        long = (
            last is not None
            and codec.modalities[last.modality].open_ended
            and (len(last.codes) >= self.request.sampling[last.modality].max_new_tokens)
        )
        full = codec.length([*self.request.prompt, *event.segments]) > max_length
        return "length" if event.reason == "budget" or long or full else "stop"
