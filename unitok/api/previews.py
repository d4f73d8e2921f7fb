"""Previews of an engine's events: text so far, images half done. Knows no weights."""

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from unitok.generation.requests import Event, SegmentDone, Written
from unitok.modalities.geometry import Box, Point
from unitok.modalities.image import ImageModality
from unitok.modalities.location_bins import LocationModality
from unitok.tokens.codec import Codec


@dataclass(frozen=True)
class Update:
    """A segment on its way: its content so far (of an image a preview), and whether it is complete."""

    modality: str
    content: str | Image.Image | Box | Point
    done: bool


def shown(codec: Codec, event: Event) -> Update | None:
    """What an event shows; None where nothing new can be seen."""
    if isinstance(event, SegmentDone):
        segment = event.segment
        return Update(segment.modality, codec.decode([segment])[0].content, done=True)
    return _so_far(codec, event) if isinstance(event, Written) else None


def _so_far(codec: Codec, event: Written) -> Update | None:
    """A text without half letters, an image whenever a row of it is complete."""
    modality, words = codec.modalities[event.modality], codec.vocabulary
    if isinstance(modality, LocationModality):
        return None
    codes = words.to_codes(event.modality, torch.tensor(event.ids))
    if modality.open_ended:
        text = modality.decode(codes, (len(codes),))
        return None if text.endswith("�") else Update(event.modality, text, done=False)
    header, cells = codes[: modality.header_length].tolist(), codes[modality.header_length :]
    if len(header) < modality.header_length:
        return None
    rows, columns = modality.shape_of(header)
    line = columns * len(modality.cell_ranges)
    complete = len(cells) // line
    if not complete or complete == (len(cells) - event.new) // line:
        return None
    return Update(event.modality, _preview(modality, cells[: complete * line], (rows, columns)), False)


def _preview(modality: ImageModality, cells: Tensor, shape: tuple[int, int]) -> Image.Image:
    """A picture of which the first rows are known, grey below."""
    total, depth = shape[0] * shape[1] * len(modality.cell_ranges), len(modality.cell_ranges)
    unseen = cells[-depth:].repeat((total - len(cells)) // depth)
    preview = modality.decode(torch.cat((cells, unseen)), shape)
    height = preview.height * len(cells) // total
    preview.paste((128, 128, 128), (0, height, preview.width, preview.height))
    return preview
