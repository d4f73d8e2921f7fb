"""A Dataset of image batches for the tokenizer: tensors of one size. Knows no codes and no trainer."""

import logging
import sys
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
from unitok.data.faults import Fault, Faults, summarize
from unitok.data.keyed_random import uniform
from unitok.data.source import Source, read
from unitok.pixels import as_rgb

log = logging.getLogger(__name__)
MAX_MEMORY_SHARE = 0.5
"""Share of the free memory that images may take; the rest is for training."""


class ImageBatches(Dataset):
    """The images of a source, resized and centre-cropped, in batches; corrupt images are skipped.

    Args:
        source: documents; the first image of each is used.
        size: (height, width) in pixels; None keeps each image's own, cut to multiples of `multiple`; a batch
            then holds one image.
        preload: hold all images in memory as bytes (12 kB for 64 x 64 pixels) if half of the free memory
            suffices; else a log line says that they are read on demand.
        crop: pixels a side of a random crop; None keeps the whole image.
        seed: of the crops.
        multiple: see `size`.
        faults: counts corrupt images, including those met in indexing.
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
            raise ValueError(f"crop must fit into images of {size[0]} x {size[1]} pixels, got {crop}")
        self.source, self.size, self.crop, self.seed = source, size, crop, seed
        self.multiple = multiple
        self._images: Tensor | None = None
        self.faults = Faults(name=type(source).__name__) if faults is None else faults
        self.faults.add(*source.faults)
        if preload and self._fits():
            places, silent = range(len(source)), not sys.stdout.isatty()  # to a file it writes empty lines
            indices = track(places, description="reading images", transient=True, disable=silent)
            self._images = self._read(indices, count=len(source))
            if not len(self._images):
                reasons = summarize(self.faults.counts)
                raise ValueError(f"{self.faults.name}: no image could be read: {reasons}")

    @property
    def preloaded(self) -> bool:
        """Whether all images are in memory."""
        return self._images is not None

    @property
    def bytes(self) -> int:
        """The memory that all images take, at one size."""
        height, width = self.size
        return len(self.source) * height * width * 3

    def _fits(self) -> bool:
        free = free_memory()
        if self.bytes <= MAX_MEMORY_SHARE * free:
            return True
        log.warning(
            "%d images of %d x %d pixels take %.1f GB, %.1f GB are free: they are read on demand, in "
            "parallel by data.workers",
            len(self.source), *self.size, self.bytes / 1e9, free / 1e9,
        )  # fmt: skip
        return False

    def __len__(self) -> int:
        return len(self._images) if self.preloaded else len(self.source)

    def _read(self, indices: Iterable[int], *, count: int) -> UInt8[Tensor, "n h w 3"]:
        """Reads the intact ones of these `count` images."""
        images, number = None, 0
        for index in indices:
            pixels = self._read_one(index)
            if pixels is None:
                continue
            if images is None:  # filled one by one: stacking at the end would hold all images twice
                images = torch.empty((count, *pixels.shape), dtype=torch.uint8)
            images[number] = pixels
            number += 1
        if images is None:
            return torch.empty((0, *(self.size or (self.multiple, self.multiple)), 3), dtype=torch.uint8)
        return images[:number]

    def _read_one(self, index: int) -> UInt8[Tensor, "h w 3"] | None:
        """Reads an image's pixels; None if it is corrupt or missing, which is counted."""
        document = read(self.source, index)
        if isinstance(document, Fault):
            self.faults.add(document)
            return None
        images = [segment.content for segment in document if segment.modality == "image"]
        if images and (self.size or min(images[0].size) >= self.multiple):
            self.faults.add_intact()
            return self._resize(images[0])
        self.faults.add(self._fault(images, f"document {index}"))
        return None

    def _fault(self, images: Sequence[Image.Image], place: str) -> Fault:
        if not images:
            return Fault("no picture", place)
        width, height = images[0].size
        return Fault(
            "cannot be encoded", place, f"{width} x {height} pixels, fewer than {self.multiple} a side"
        )

    def _resize(self, image: Image.Image) -> UInt8[Tensor, "h w 3"]:
        image = as_rgb(image)
        height, width = self.size or (side // self.multiple * self.multiple for side in image.size[::-1])
        if self.size is None:
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        elif image.size != (width, height):
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(image))

    def __getitem__(self, batch: DocumentBatch) -> Float[Tensor, "b 3 h w"]:
        indices = batch.indices
        images = self._images[indices] if self.preloaded else self._read(indices, count=len(indices))
        if self.crop is not None and indices:
            sampled = uniform(self.seed, batch.epoch, indices[0], "crop")
            generator = torch.Generator().manual_seed(int(sampled * 2**53))
            images = busiest_crops(images, self.crop, generator=generator)
        return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def free_memory() -> int:
    """Bytes of memory that are available."""
    return psutil.virtual_memory().available


def busiest_crops(
    images: UInt8[Tensor, "b H W 3"], side: int, *, generator: torch.Generator, tries: int = 4
) -> UInt8[Tensor, "b h h 3"]:
    """Returns, of `tries` random crops of each image, the one of highest variance: few show empty ground."""
    count, height, width, _ = images.shape
    rows = torch.randint(height - side + 1, (count, tries, 1), generator=generator) + torch.arange(side)
    columns = torch.randint(width - side + 1, (count, tries, 1), generator=generator) + torch.arange(side)
    image = torch.arange(count)[:, None, None, None]
    crops = images[image, rows[:, :, :, None], columns[:, :, None, :]]
    pixels = crops.flatten(2, 3).float()
    # `var` takes 20 times as long on a CPU
    variance = pixels.square().mean(dim=2) - pixels.mean(dim=2).square()
    busiest = variance.sum(dim=-1).argmax(dim=1)
    return crops[torch.arange(count), busiest]


class SingleImages(Dataset):
    """Batches of one image, which may have any size; empty if it is corrupt."""

    def __init__(self, images: ImageBatches):
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Float[Tensor, "1 3 h w"]:
        return self.images[DocumentBatch(0, [index])]
