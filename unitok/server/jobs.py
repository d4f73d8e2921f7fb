"""Jobs for the worker, and the events it returns. Knows engine requests, no HTTP and no thread."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from unitok.api.previews import Update
from unitok.api.unitok import UniTok
from unitok.document import Document, Segment
from unitok.generation.requests import DocumentDone, Request, Written
from unitok.modalities.image import ImageModality
from unitok.server.stop_sequences import cut
from unitok.tokens.codec import Codec

Ending = Literal["stop", "length"]
Kind = Literal["chat", "draw", "edit"]


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to a job."""


@dataclass(frozen=True)
class Accepted(JobEvent):
    """All its documents wait or are being written."""


@dataclass(frozen=True)
class Progress(JobEvent):
    """A segment of a copy, on its way or complete."""

    copy: int
    update: Update


@dataclass(frozen=True)
class Done(JobEvent):
    """A copy is complete.

    `reason` is "length" where a limit ended it; `read` and `written` count the codes of its prompt and its
    own by modality.
    """

    copy: int
    reason: Ending
    document: Document
    read: Counter[str]
    written: Counter[str]


@dataclass(frozen=True)
class Failed(JobEvent):
    """Nothing more will come: a ValueError where the job cannot be, else something unforeseen."""

    error: BaseException


@dataclass(eq=False)
class Job:
    """One client's request: copies of a document to go on with.

    Args:
        kind: for the metrics: "chat", "draw" or "edit".
        prepare: makes the engine's request, beside the engine; raises ValueError where that cannot be.
        tell: takes news, in the worker's threads; does not block.
        copies: how many documents.
        texts: whether texts are shown as they come.
        previews: most previews of a picture before it is complete.
        stops: texts before which a document ends.

    What follows is the worker's: `numbers` of its documents in the engine, how many are `left`, and whether
    it is `over` and takes no more news.
    """

    kind: Kind
    prepare: Callable[[UniTok], Request]
    tell: Callable[[JobEvent], None]
    copies: int = 1
    texts: bool = False
    previews: int = 0
    stops: Sequence[str] = ()
    numbers: set[int] = field(default_factory=set)
    left: int = 0
    over: bool = False

    def __post_init__(self):
        self.left = self.copies


@dataclass(eq=False)
class Running:
    """A copy of a job in the engine, by its number there; `said` are its complete segments."""

    job: Job
    copy: int
    request: Request
    said: list[Segment] = field(default_factory=list)
    written: Counter[str] = field(default_factory=Counter)
    previews: int = 0

    def done(self, reason: Ending) -> Done:
        """The news that it is complete."""
        read: Counter[str] = Counter()
        for codes in self.request.prompt:
            read[codes.modality] += len(codes.codes)
        return Done(self.copy, reason, tuple(self.said), read, self.written)

    def wants(self, codec: Codec, event: Written) -> bool:
        """Whether what was just written is to be shown, or looked at for stops."""
        if event.modality == "image":
            return self._preview_is_due(codec, event)
        return self.job.texts or bool(self.job.stops)

    def _preview_is_due(self, codec: Codec, event: Written) -> bool:
        """Whether a row of codes was completed that is the next k-th of k + 1 parts, or beyond it."""
        if self.previews >= self.job.previews:
            return False
        modality: ImageModality = codec.modalities["image"]
        length, depth = modality.header_length, len(modality.cell_ranges)
        if event.count <= length:
            return False
        header = codec.vocabulary.to_codes("image", torch.tensor(event.ids[:length], dtype=torch.long))
        rows, columns = modality.shape_of(header.tolist())
        complete = (event.count - length) // (columns * depth)
        return complete * (self.job.previews + 1) >= rows * (self.previews + 1) and complete < rows

    def stopped(self, text: str) -> str | None:
        """A text before the first stop in it; None where there is none."""
        return cut(text, self.job.stops)

    def reason(self, codec: Codec, event: DocumentDone, *, length: int) -> Ending:
        """Whether a document ended by itself or at a limit: of texts, of segments, the model's `length`."""
        most = self.request.sampling["text"].max_new_tokens
        last = event.segments[-1] if event.segments else None
        long = last is not None and last.modality == "text" and len(last.codes) >= most
        full = codec.length([*self.request.prompt, *event.segments]) > length
        return "length" if event.reason == "budget" or long or full else "stop"
