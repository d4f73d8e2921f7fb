"""The LightningDataModule of an image tokenizer: batches of images. Knows no model."""

from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from unitok.data.batches.image_batches import ImageBatches, SingleImages
from unitok.data.batches.loader import build_loader, check_counts
from unitok.data.batches.loader_state import Progress
from unitok.data.faults import Faults, run_faults, write_run_report
from unitok.data.mixture import count_samples
from unitok.data.source import Source
from unitok.data.sources import train_and_val


class ImageData(LightningDataModule):
    """Batches of images for an image tokenizer.

    Args:
        path: a data set of any format in docs/your-data.md, or several; in place of `train` and `val`.
        train: source of training images.
        val: source of validation images; if absent, every 20th document of `train`.
        format: of `path`, such as webdataset, table or pairs; if absent it is detected.
        most_faults: share of corrupt images that stops a run, after the first 1,000 that are read or all of a
            smaller set.
        test: source of test images, each of its own size cut to multiples of 16; if absent those of `val`.
        size: (height, width) in pixels to which all images of training and validation are resized.
        batch_size: images per batch.
        workers: processes that read; 0 reads in the training process.
        preload: hold all images in memory, if half of the free memory suffices.
        crop: train on random crops of this many pixels a side, chosen for their variance; a tokenizer whose
            codes do not depend on image borders learns the same from fewer pixels. None trains on whole
            images.
        seed: of the order and the crops.
    """

    def __init__(
        self,
        path: str | list[str] | None = None,
        train: Source | None = None,
        val: Source | None = None,
        *,
        format: str | None = None,
        most_faults: float = 0.1,
        test: Source | None = None,
        size: tuple[int, int] = (64, 64),
        batch_size: int = 64,
        workers: int = 0,
        preload: bool = True,
        crop: int | None = None,
        seed: int = 0,
    ):
        super().__init__()
        if min(size) < 1:
            raise ValueError(f"size must be (height, width) of at least 1 pixel, got {tuple(size)}")
        check_counts(batch_size=batch_size, workers=workers)
        self.crop = crop
        self.train, self.val = train_and_val(path, train, val, format=format, captions=False)
        self.test = test
        self.most_faults = most_faults
        self.size = tuple(size)
        self.batch_size, self.workers, self.preload, self.seed = batch_size, workers, preload, seed
        self._images: dict[str, ImageBatches] = {}
        self._progress = Progress()

    def ineffective_settings(self) -> dict[str, str]:
        """Settings without effect in combination with the others, and why."""
        return {}

    def setup(self, stage: str) -> None:
        names = {"fit": ("train", "val"), "test": () if self.test else ("val",)}.get(stage, ("val",))
        for name in names:
            if name not in self._images:
                source, crop = (self.train, self.crop) if name == "train" else (self.val, None)
                self._images[name] = ImageBatches(
                    source,
                    size=self.size,
                    preload=self.preload,
                    crop=crop,
                    seed=self.seed,
                    faults=self._faults(name, source),
                )

    def _faults(self, name: str, source: Source) -> Faults:
        return run_faults(
            self.trainer, name, size=count_samples(source), max_share=self.most_faults, workers=self.workers
        )

    def teardown(self, stage: str) -> None:
        write_run_report(self.trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"progress": self._progress.state(self.trainer)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "train" in self._images:
            self._progress.resume(state.get("progress", {}), self.train_dataloader().sampler)

    def train_dataloader(self) -> DataLoader:
        sizes = {"batch_size": self.batch_size, "workers": self.workers}
        return self._progress.loader(self._images["train"], self.trainer, seed=self.seed, **sizes)

    def val_dataloader(self) -> DataLoader:
        sizes = {"batch_size": self.batch_size, "workers": self.workers}
        return build_loader(self._images["val"], self.trainer, seed=None, **sizes)

    def test_dataloader(self) -> DataLoader:
        if self.test is None:
            return self.val_dataloader()
        faults = self._faults("test", self.test)
        images = ImageBatches(self.test, size=None, preload=False, faults=faults)
        return DataLoader(SingleImages(images), batch_size=None)
