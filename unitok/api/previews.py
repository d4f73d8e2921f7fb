"""Previews of an engine's events: text so far, images half done. Knows no weights."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from unitok.api.arguments import describe
from unitok.document import Segment
from unitok.generation.requests import Event, SegmentDone, SegmentProgress
from unitok.tokens.codec import Codec


@dataclass(frozen=True)
class Update:
    """A segment in progress: its content so far (of an image a preview), and whether it is complete."""

    modality: str
    content: Any
    done: bool


def update_of(codec: Codec, event: Event) -> Update | None:
    """The update of an event; None if there is nothing new to show."""
    if isinstance(event, SegmentDone):
        segment = event.segment
        return Update(segment.modality, codec.decode([segment])[0].content, done=True)
    return _partial_update(codec, event) if isinstance(event, SegmentProgress) else None


def _partial_update(codec: Codec, event: SegmentProgress) -> Update | None:
    """The preview of an incomplete segment, whenever it has grown by a step."""
    modality = codec.modalities[event.modality]
    codes = codec.vocabulary.to_codes(event.modality, torch.tensor(event.ids, dtype=torch.long))
    header, cells = codes[: modality.header_length].tolist(), codes[modality.header_length :]
    step = modality.preview_step(header) if len(header) == modality.header_length else 0
    if not step:
        return None
    complete = len(cells) // step
    if not complete or complete == (len(cells) - event.new) // step:
        return None
    content = modality.preview(cells[: complete * step], header)
    return None if content is None else Update(event.modality, content, done=False)


def feed(streamer: Any, updates: Iterable[Update]) -> list[Segment]:
    """Hand new text to a streamer of transformers, such as TextStreamer, and return the complete segments.

    The streamer's tokenizer is not used. Its end is signalled even if an error ends the updates.

    Raises ValueError if it has no `on_finalized_text`.
    """
    if not hasattr(streamer, "on_finalized_text"):
        raise ValueError(f"streamer must have on_finalized_text, as TextStreamer, got {describe(streamer)}")
    segments, sent = [], 0
    try:
        for update in updates:
            if update.modality == "text":
                streamer.on_finalized_text(update.content[sent:])
                sent = 0 if update.done else max(sent, len(update.content))
            if update.done:
                segments.append(Segment(update.modality, update.content))
    finally:
        streamer.on_finalized_text("", stream_end=True)
    return segments
