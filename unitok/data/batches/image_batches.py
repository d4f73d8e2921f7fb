"""A Dataset of image batches for the tokenizer: tensors of one size. Knows no codes and no trainer."""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import psutil
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps
from rich.progress import track
from torch import Tensor
from torch.utils.data import Dataset

from unitok.data.batches.batch_sampler import DocumentBatch
from unitok.data.faults import Fault, Faults, summary
from unitok.data.keyed_random import uniform
from unitok.data.source import Source, read
from unitok.pixels import as_rgb

log = logging.getLogger(__name__)
MOST_HELD = 0.5
"""Share of the free memory that pictures may take; the rest is for the training."""


class Pictures(Dataset):
    """The pictures of a source, resized and centre-cropped; indexed by windows; faulty ones are left out.

    Args:
        source: documents; one picture is taken from each.
        size: (height, width) in pixels; None keeps each picture's own, cut to multiples of `multiple`; a
            batch then holds one picture.
        preload: hold all pictures in memory as bytes (64 x 64 pixels take 12 kB each) where half of what is
            free holds them; else one line says that they are read as they are needed.
        crop: pixels a side of a random window that is cut out; None keeps the whole picture.
        seed: of the windows.
        multiple: see `size`.
        faults: counts the faulty ones, those met in indexing too.
    """

    def __init__(
        self,
        source: Source,
        *,
        size: tuple[int, int] | None,
        preload: bool,
        crop: int | None = None,
        seed: int = 0,
        multiple: int = 16,
        faults: Faults | None = None,
    ):
        if crop is not None and not 1 <= crop <= min(size):
            raise ValueError(f"crop={crop} does not fit into pictures of {size[0]} x {size[1]} pixels")
        self.source, self.size, self.crop, self.seed = source, size, crop, seed
        self.multiple = multiple
        self._held: Tensor | None = None
        self.faults = Faults(name=type(source).__name__) if faults is None else faults
        self.faults.add(*source.faults)
        if preload and self._fits():
            indices = track(range(len(source)), description="reading pictures", transient=True)
            self._held = self._read(indices, count=len(source))
            if not len(self._held):
                reasons = summary(self.faults.counts)
                raise ValueError(f"{self.faults.name}: no picture could be read: {reasons}")

    @property
    def held(self) -> bool:
        """Whether all pictures are in memory."""
        return self._held is not None

    @property
    def bytes(self) -> int:
        """What all pictures take in memory, of one size."""
        height, width = self.size
        return len(self.source) * height * width * 3

    def _fits(self) -> bool:
        free = free_memory()
        if self.bytes <= MOST_HELD * free:
            return True
        log.warning(
            "%d pictures of %d x %d pixels take %.1f GB, %.1f GB are free: they are read as they are needed, "
            "side by side with data.workers",
            len(self.source), *self.size, self.bytes / 1e9, free / 1e9,
        )  # fmt: skip
        return False

    def __len__(self) -> int:
        return len(self._held) if self.held else len(self.source)

    def _read(self, indices: Iterable[int], *, count: int) -> UInt8[Tensor, "n h w 3"]:
        """The whole ones of these `count` pictures."""
        pictures, number = None, 0
        for index in indices:
            found = self._bytes(index)
            if found is None:
                continue
            if pictures is None:  # filled one by one: stacking them at the end would hold all twice
                pictures = torch.empty((count, *found.shape), dtype=torch.uint8)
            pictures[number] = found
            number += 1
        if pictures is None:
            return torch.empty((0, *(self.size or (self.multiple, self.multiple)), 3), dtype=torch.uint8)
        return pictures[:number]

    def _bytes(self, index: int) -> UInt8[Tensor, "h w 3"] | None:
        """A picture's pixels; None for one that is faulty or not there, which is counted."""
        document = read(self.source, index)
        if not isinstance(document, Fault):
            pictures = [segment.content for segment in document if segment.modality == "image"]
            if pictures and (self.size or min(pictures[0].size) >= self.multiple):
                self.faults.seen()
                return self._sized(pictures[0])
            document = self._unusable(pictures, f"document {index}")
        self.faults.add(document)
        return None

    def _unusable(self, pictures: Sequence[Image.Image], place: str) -> Fault:
        if not pictures:
            return Fault("no picture", place)
        width, height = pictures[0].size
        return Fault(
            "cannot be encoded", place, f"{width} x {height} pixels, fewer than {self.multiple} a side"
        )

    def _sized(self, image: Image.Image) -> UInt8[Tensor, "h w 3"]:
        image = as_rgb(image)
        height, width = self.size or (side // self.multiple * self.multiple for side in image.size[::-1])
        if self.size is None:
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        elif image.size != (width, height):
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(image))

    def __getitem__(self, window: DocumentBatch) -> Float[Tensor, "b 3 h w"]:
        indices = window.indices
        pictures = self._held[indices] if self.held else self._read(indices, count=len(indices))
        if self.crop is not None and indices:
            drawn = uniform(self.seed, window.epoch, window.indices[0], "crop")
            generator = torch.Generator().manual_seed(int(drawn * 2**53))
            pictures = busiest_crops(pictures, self.crop, generator=generator)
        return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def free_memory() -> int:
    """Bytes that processes can still have."""
    return psutil.virtual_memory().available


def busiest_crops(
    pictures: UInt8[Tensor, "b H W 3"], side: int, *, generator: torch.Generator, tries: int = 4
) -> UInt8[Tensor, "b h h 3"]:
    """Of `tries` random windows of each picture the one that varies most: few show empty ground."""
    count, height, width, _ = pictures.shape
    rows = torch.randint(height - side + 1, (count, tries, 1), generator=generator) + torch.arange(side)
    columns = torch.randint(width - side + 1, (count, tries, 1), generator=generator) + torch.arange(side)
    which = torch.arange(count)[:, None, None, None]
    windows = pictures[which, rows[:, :, :, None], columns[:, :, None, :]]
    pixels = windows.flatten(2, 3).float()
    variance = (
        pixels.square().mean(dim=2) - pixels.mean(dim=2).square()
    )  # `var` takes 20 times as long on a CPU
    busiest = variance.sum(dim=-1).argmax(dim=1)
    return windows[torch.arange(count), busiest]


class OneByOne(Dataset):
    """Batches of one picture each, which may have any size; of none where it is faulty."""

    def __init__(self, pictures: Pictures):
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Float[Tensor, "1 3 h w"]:
        return self.pictures[DocumentBatch(0, [index])]
