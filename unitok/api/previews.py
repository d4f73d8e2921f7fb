"""Previews of an engine's events: text so far, images half done. Knows no weights."""

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from unitok.generation.requests import Event, SegmentDone, SegmentProgress
from unitok.modalities.geometry import Box, Point
from unitok.modalities.image import ImageModality
from unitok.modalities.location_bins import LocationModality
from unitok.tokens.codec import Codec


@dataclass(frozen=True)
class Update:
    """A segment in progress: its content so far (of an image a preview), and whether it is complete."""

    modality: str
    content: str | Image.Image | Box | Point
    done: bool


def update_of(codec: Codec, event: Event) -> Update | None:
    """The update of an event; None if there is nothing new to show."""
    if isinstance(event, SegmentDone):
        segment = event.segment
        return Update(segment.modality, codec.decode([segment])[0].content, done=True)
    return _partial_update(codec, event) if isinstance(event, SegmentProgress) else None


def _partial_update(codec: Codec, event: SegmentProgress) -> Update | None:
    """Text whenever it ends in a whole character, an image whenever a row of it is complete."""
    modality, vocabulary = codec.modalities[event.modality], codec.vocabulary
    if isinstance(modality, LocationModality):
        return None
    codes = vocabulary.to_codes(event.modality, torch.tensor(event.ids))
    if modality.open_ended:
        text = modality.decode(codes, (len(codes),))
        return None if text.endswith("�") else Update(event.modality, text, done=False)
    header, cells = codes[: modality.header_length].tolist(), codes[modality.header_length :]
    if len(header) < modality.header_length:
        return None
    rows, columns = modality.shape_of(header)
    row_length = columns * len(modality.cell_ranges)
    complete = len(cells) // row_length
    if not complete or complete == (len(cells) - event.new) // row_length:
        return None
    return Update(event.modality, _preview(modality, cells[: complete * row_length], (rows, columns)), False)


def _preview(modality: ImageModality, cells: Tensor, shape: tuple[int, int]) -> Image.Image:
    """Decode an image of which only the first rows are known, with grey below."""
    total, depth = shape[0] * shape[1] * len(modality.cell_ranges), len(modality.cell_ranges)
    padding = cells[-depth:].repeat((total - len(cells)) // depth)
    preview = modality.decode(torch.cat((cells, padding)), shape)
    height = preview.height * len(cells) // total
    preview.paste((128, 128, 128), (0, height, preview.width, preview.height))
    return preview
