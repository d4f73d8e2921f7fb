"""LightningDataModules: sources -> batches for the trainer. Knows sources and order, no model."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning.pytorch import LightningDataModule, Trainer
from PIL import Image, ImageOps
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unitok.data.order import Batches
from unitok.data.sources import Source


class Pictures(Dataset):
    """The pictures of a source, resized and centre-cropped; indexed by lists of indices.

    Args:
        source: documents; one picture is taken from each.
        size: (height, width) in pixels.
        preload: hold all pictures in memory as bytes (64 x 64 pixels take 12 kB each).
    """

    def __init__(self, source: Source, *, size: tuple[int, int], preload: bool):
        self.source, self.size = source, size
        self._held: Tensor | None = None
        if preload:
            pictures = track(range(len(source)), description="reading pictures", transient=True)
            self._held = torch.stack([self._bytes(i) for i in pictures])

    def __len__(self) -> int:
        return len(self.source)

    def _bytes(self, index: int) -> UInt8[Tensor, "h w 3"]:
        image = next(segment.content for segment in self.source[index] if segment.modality == "image")
        height, width = self.size
        if image.size != (width, height):
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(image.convert("RGB")))

    def __getitem__(self, indices: list[int]) -> Float[Tensor, "b 3 h w"]:
        pictures = self._held[indices] if self._held is not None else torch.stack([*map(self._bytes, indices)])
        return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


class ImageData(LightningDataModule):
    """Pictures for a tokenizer.

    Args:
        train: source of training pictures.
        val: source of validation pictures.
        size: (height, width) in pixels that every picture is brought to.
        batch_size: pictures a batch.
        workers: processes that read; 0 reads in the training process.
        preload: hold all pictures in memory.
        seed: of the shuffling.
        path: folder of the sources, where they have one (overrides theirs).
    """

    def __init__(
        self,
        train: Source,
        val: Source,
        *,
        size: tuple[int, int] = (64, 64),
        batch_size: int = 64,
        workers: int = 0,
        preload: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        self.train, self.val, self.size = train, val, tuple(size)
        self.batch_size, self.workers, self.preload, self.seed = batch_size, workers, preload, seed
        self._pictures: dict[str, Pictures] = {}

    def setup(self, stage: str) -> None:
        for name, source in (("train", self.train), ("val", self.val)):
            if name not in self._pictures:
                self._pictures[name] = Pictures(source, size=self.size, preload=self.preload)

    def train_dataloader(self) -> DataLoader:
        pictures = self._pictures["train"]
        return loader(pictures, resumable(self.trainer, len(pictures), self.batch_size, self.seed), self.workers)

    def val_dataloader(self) -> DataLoader:
        pictures = self._pictures["val"]
        return loader(pictures, Batches(len(pictures), self.batch_size, seed=None), self.workers)


def loader(dataset: Dataset, batches: Iterable[list[int]], workers: int) -> DataLoader:
    """A loader whose dataset makes whole batches."""
    return DataLoader(
        dataset, sampler=batches, batch_size=None, num_workers=workers, persistent_workers=workers > 0
    )


def resumable(trainer: Trainer | None, count: int, batch_size: int, seed: int) -> Batches:
    """Shuffled batches that start where the trainer stopped."""
    if trainer is None:
        return Batches(count, batch_size, seed=seed)
    done = trainer.fit_loop.epoch_loop.batch_progress.current.completed if trainer.fit_loop.restarting else 0
    return Batches(
        count, batch_size, seed=seed, start=done, rank=trainer.global_rank, world=trainer.world_size
    )
