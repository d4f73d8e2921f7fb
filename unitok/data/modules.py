"""LightningDataModules: sources -> batches for the trainer. Knows sources and order, no model."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning.pytorch import LightningDataModule
from PIL import Image, ImageOps
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from unitok.codec import Codec
from unitok.cursor import Positions
from unitok.data.augment import Augment, Augmented
from unitok.data.codecs import build_codec, train_text_tokenizer
from unitok.data.documents import EncodedSource, PackedDocuments
from unitok.data.draws import uniform
from unitok.data.encoding import Coded
from unitok.data.faults import Fault, Faults, journal_report, summary, write_report
from unitok.data.mixed import MixedDocuments, Stored, check_unmixed, is_mixed, stores_of
from unitok.data.packing import Batch
from unitok.data.remote import local
from unitok.data.resize import Resize, Resized
from unitok.data.sources import Source, open_data, read
from unitok.data.store import TEXT_TOKENIZER, Store
from unitok.data.tasks import UNPROMPTED, Task
from unitok.data.windows import Window, Windows
from unitok.document import Codes

Documents = Source | str
JOURNAL = "data_faults.jsonl"

log = logging.getLogger(__name__)


class Pictures(Dataset):
    """The pictures of a source, resized and centre-cropped; indexed by lists of indices.

    Args:
        source: documents; one picture is taken from each.
        size: (height, width) in pixels; None keeps each picture's own, cut to multiples of `multiple`; a
            batch then holds one picture.
        preload: hold all pictures in memory as bytes (64 x 64 pixels take 12 kB each).
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
        if preload:
            self._held = self._read(track(range(len(source)), description="reading pictures", transient=True))

    def __len__(self) -> int:
        return len(self.source) if self._held is None else len(self._held)

    def _read(self, indices: Iterable[int]) -> UInt8[Tensor, "n h w 3"]:
        """The whole ones of these pictures. Raises ValueError where none is."""
        pictures = [found for index in indices if (found := self._bytes(index)) is not None]
        if not pictures:
            raise ValueError(f"no picture could be read: {summary(self.faults.counts)}")
        return torch.stack(pictures)

    def _bytes(self, index: int) -> UInt8[Tensor, "h w 3"] | None:
        """A picture's pixels; None for one that is faulty or not there, which is counted."""
        document = read(self.source, index)
        if not isinstance(document, Fault):
            pictures = [segment.content for segment in document if segment.modality == "image"]
            if pictures:
                self.faults.seen()
                return self._sized(pictures[0], index)
            document = Fault("no picture", f"document {index}")
        self.faults.add(document)
        return None

    def _sized(self, image: Image.Image, index: int) -> UInt8[Tensor, "h w 3"]:
        height, width = self.size or (side // self.multiple * self.multiple for side in image.size[::-1])
        if not height or not width:
            raise ValueError(
                f"picture {index} has {image.size[0]} x {image.size[1]} pixels, fewer than {self.multiple}"
            )
        if self.size is None:
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        elif image.size != (width, height):
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(image.convert("RGB")))

    def __getitem__(self, window: Window) -> Float[Tensor, "b 3 h w"]:
        pictures = self._held[window.indices] if self._held is not None else self._read(window.indices)
        if self.crop is not None:
            drawn = uniform(self.seed, window.epoch, window.indices[0], "crop")
            generator = torch.Generator().manual_seed(int(drawn * 2**53))
            pictures = busiest_crops(pictures, self.crop, generator=generator)
        return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def busiest_crops(
    pictures: UInt8[Tensor, "b H W 3"], side: int, *, generator: torch.Generator, tries: int = 4
) -> UInt8[Tensor, "b h h 3"]:
    """Of `tries` random windows of each picture the one that varies most: few show empty ground."""
    count, height, width, _ = pictures.shape
    rows = torch.randint(height - side + 1, (count, tries, 1), generator=generator) + torch.arange(side)
    columns = torch.randint(width - side + 1, (count, tries, 1), generator=generator) + torch.arange(side)
    which = torch.arange(count)[:, None, None, None]
    windows = pictures[which, rows[:, :, :, None], columns[:, :, None, :]]
    busiest = windows.float().var(dim=(2, 3)).sum(dim=-1).argmax(dim=1)
    return windows[torch.arange(count), busiest]


class ImageData(LightningDataModule):
    """Pictures for a tokenizer.

    Args:
        path: a data set of any format in docs/your-data.md, or several; in place of `train` and `val`.
        train: source of training pictures.
        val: source of validation pictures.
        format: of `path`, such as webdataset, table or pairs; if absent it is recognised.
        most_faults: share of faulty pictures, after the first 1,000 that a process reads, that stops a run.
        test: source of test pictures, each of its own size cut to multiples of 16; if absent those of `val`.
        size: (height, width) in pixels that every picture of training and validation is brought to.
        batch_size: pictures a batch.
        workers: processes that read; 0 reads in the training process.
        preload: hold all pictures in memory.
        crop: train on random windows of this many pixels a side, chosen where something is; a tokenizer
            without borders in its codes learns the same from less. None trains on whole pictures.
        seed: of the shuffling and the windows.
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
        self.crop = crop
        self.train, self.val = train_and_val(path, train, val, format=format)
        self.test = test
        self.most_faults = most_faults
        self.size = tuple(size)
        self.batch_size, self.workers, self.preload, self.seed = batch_size, workers, preload, seed
        self._pictures: dict[str, Pictures] = {}

    def setup(self, stage: str) -> None:
        wanted = {"fit": ("train", "val"), "test": () if self.test else ("val",)}.get(stage, ("val",))
        for name in wanted:
            if name not in self._pictures:
                source, crop = (self.train, self.crop) if name == "train" else (self.val, None)
                self._pictures[name] = Pictures(
                    source,
                    size=self.size,
                    preload=self.preload,
                    crop=crop,
                    seed=self.seed,
                    faults=faults_of(self, name),
                )

    def teardown(self, stage: str) -> None:
        report_faults(self)

    def train_dataloader(self) -> DataLoader:
        return exact_loader(self, self._pictures["train"], seed=self.seed, start=lambda: trained(self))

    def val_dataloader(self) -> DataLoader:
        return exact_loader(self, self._pictures["val"], seed=None, start=int)

    def test_dataloader(self) -> DataLoader:
        if self.test is None:
            return self.val_dataloader()
        return DataLoader(OneByOne(Pictures(self.test, size=None, preload=False)), batch_size=None)


class OneByOne(Dataset):
    """Batches of one picture each, which may have any size."""

    def __init__(self, pictures: Pictures):
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Float[Tensor, "1 3 h w"]:
        return self.pictures[Window(0, [index])]


class DocumentData(LightningDataModule):
    """Packed documents for a transformer. Every batch is a pure function of (seed, number of the batch).

    Args:
        path: a data set of any format in docs/your-data.md, or several; in place of `train` and `val`.
        train: source of training documents, or the folder of their store.
        val: the same for validation, which keeps the order of the documents and drops no condition.
        format: of `path`, such as webdataset, table or pairs; if absent it is recognised.
        most_faults: share of faulty documents, after the first 1,000 that a process reads, that stops a run.
        image_tokenizer: folder of the trained image tokenizer.
        text_tokenizer: a tokenizer.json. If absent, that of the training store; without a store, one is
            trained on the training texts and kept in the run's folder.
        text_size: codes of a text tokenizer that is trained here, at most.
        image_shape: (rows, columns) in cells that images are brought to; if absent each keeps its size.
        locations: "box", "point" or both, where documents hold such; their ids come after all others.
        positions: "grid" or "sequential", see Cursor.
        row_length: places of a row; longer documents are dropped.
        batch_size: documents a batch, on each device; they are packed into as few rows as best fit finds.
        task: of pairs: "caption" learns text after image, "draw" image after text, "both" either, by a coin.
            Conversations and pages keep their order, and with "chat" pairs do too.
        condition_dropout: probability that a document keeps its last segment only, which guidance needs.
        unprompted: modalities that are also learned without a prompt: as a document's first segment, and
            alone by `condition_dropout`.
        resize: how pictures get their size before they are encoded, such as Buckets; None leaves it to
            `image_shape`.
        augment: more training documents by mirrored and shifted pictures; None for none, and with a store.
        seed: of order, task and dropout.
        workers: processes that read; 0 reads in the training process.
        codec: given by a program instead of the two tokenizers.
    """

    def __init__(
        self,
        path: str | list[str] | None = None,
        train: Source | str | None = None,
        val: Source | str | None = None,
        *,
        format: str | None = None,
        most_faults: float = 0.1,
        image_tokenizer: str | None = None,
        text_tokenizer: str | None = None,
        text_size: int = 1024,
        image_shape: tuple[int, int] | None = None,
        locations: list[str] = [],  # noqa: B006
        positions: Positions = "grid",
        row_length: int = 512,
        batch_size: int = 64,
        task: Task = "both",
        condition_dropout: float = 0.1,
        unprompted: list[str] = list(UNPROMPTED),  # noqa: B006
        resize: Resize | None = None,
        augment: Augment | None = None,
        seed: int = 0,
        workers: int = 0,
        codec: Codec | None = None,
    ):
        super().__init__()
        self.train, self.val = train_and_val(path, train, val, format=format)
        self.most_faults = most_faults
        self.image_tokenizer, self.text_tokenizer, self.text_size = image_tokenizer, text_tokenizer, text_size
        self.image_shape, self.positions, self.locations = image_shape, positions, list(locations)
        self.row_length, self.batch_size, self.workers = row_length, batch_size, workers
        self.task, self.condition_dropout, self.seed = task, condition_dropout, seed
        self.unprompted, self.augment = list(unprompted), augment
        if augment is not None and stores_of(self.train):
            raise ValueError(f"augment changes pictures, but {stores_of(self.train)[0]} is a store of codes")
        self.resize = resize
        self._codec = codec
        self._packed: dict[str, PackedDocuments] = {}

    @property
    def codec(self) -> Codec:
        """Made at first use. Raises FileNotFoundError or ValueError where a tokenizer is missing or bad."""
        if self._codec is None:
            if self.image_tokenizer is None:
                raise ValueError("no image_tokenizer is given: it is the folder of a trained image tokenizer")
            text = self._text_tokenizer()
            self._codec = build_codec(
                self.image_tokenizer,
                text,
                positions=self.positions,
                image_shape=self.image_shape,
                locations=self.locations,
            )
        return self._codec

    def _text_tokenizer(self) -> Path:
        """The tokenizer.json, trained first if there is none."""
        if self.text_tokenizer is not None:
            return Path(self.text_tokenizer)
        if stores_of(self.train):
            return local(stores_of(self.train)[0]) / TEXT_TOKENIZER
        if self.trainer is None:
            raise ValueError("no text_tokenizer is given, and no run has a folder that could keep a new one")
        path = Path(self.trainer.default_root_dir) / TEXT_TOKENIZER
        if not path.is_file():
            train_text_tokenizer(self.train, path, size=self.text_size)
        return path

    def prepare_data(self) -> None:
        if self._codec is None:
            self._text_tokenizer()

    def setup(self, stage: str) -> None:
        for name, documents, task_dropout in (
            ("train", self.train, self.condition_dropout),
            ("val", self.val, 0.0),
        ):
            if name not in self._packed:
                if name == "train" and self.augment is not None:
                    documents = augmented(documents, self.augment)
                self._packed[name] = self._pack(name, documents, task_dropout)

    def examples(self, count: int) -> list[tuple[str, Image.Image]]:
        """Up to `count` validation documents as (text, picture), the picture as its codes show it."""
        documents = self._packed["val"].documents
        coded = documents.fetch(range(min(count, len(documents))))
        pairs = [_example(self.codec, codes) for codes in coded if codes is not None]
        return [pair for pair in pairs if pair is not None]

    def _pack(self, name: str, documents: Source | str, condition_dropout: float) -> PackedDocuments:
        return PackedDocuments(
            self._coded(documents, faults_of(self, name)),
            self.codec,
            row_length=self.row_length,
            task=self.task,
            condition_dropout=condition_dropout,
            unprompted=self.unprompted,
            seed=self.seed,
        )

    def _coded(self, documents: Source | str, faults: Faults) -> Coded:
        """Codes of a store, of a source, or of all sources of a mixture."""
        if isinstance(documents, str):
            return Store(documents, self.codec)
        if isinstance(documents, Stored):
            return documents.open(self.codec)
        if is_mixed(documents):
            parts = [self._coded(source, faults) for source in documents.sources]
            return MixedDocuments(documents, parts, readers=1 + self.workers)
        check_unmixed(documents)
        if self.resize is not None:
            documents = Resized(documents, self.resize)
        return EncodedSource(documents, self.codec, faults=faults)

    def teardown(self, stage: str) -> None:
        report_faults(self)
        mixed = self._packed["train"].documents if "train" in self._packed else None
        if isinstance(mixed, MixedDocuments) and self.trainer and self.trainer.is_global_zero:
            mixed.report(Path(self.trainer.default_root_dir))

    def train_dataloader(self) -> DataLoader:
        return exact_loader(self, self._packed["train"], seed=self.seed, start=lambda: trained(self))

    def val_dataloader(self) -> DataLoader:
        return exact_loader(self, self._packed["val"], seed=None, start=int)


def _example(codec: Codec, codes: Sequence[Codes]) -> tuple[str, Image.Image] | None:
    """Text and picture of a document that has both."""
    contents = {segment.modality: segment.content for segment in codec.decode(codes)}
    return (contents["text"], contents["image"]) if contents.keys() >= {"text", "image"} else None


def augmented(documents: Source, augment: Augment) -> Source:
    """A source with changed copies; of a mixture each, so that their shares stay."""
    if is_mixed(documents):
        return documents.with_each(lambda source: augmented(source, augment))
    return Augmented(documents, augment)


def train_and_val(
    path: str | list[str] | None,
    train: Documents | None,
    val: Documents | None,
    *,
    format: str | None = None,
) -> tuple[Documents, Documents]:
    """The two sources of a data module: as given, and else the two parts of what is at a path.

    Raises:
        FileNotFoundError: there is nothing there, or no such part.
        ValueError: neither is given, or the format is unknown.
    """
    if path is None and (train is None or val is None):
        raise ValueError(
            "no data: give --data.path PATH (docs/your-data.md), or both data.train and data.val"
        )
    return (
        train or open_data(path, part="train", format=format),
        val or open_data(path, part="val", format=format),
    )


def faults_of(module: ImageData | DocumentData, name: str) -> Faults:
    """What counts the faults of one part; all processes of a run note them in its folder."""
    trainer = module.trainer
    journal = Path(trainer.default_root_dir) / JOURNAL if trainer else None
    return Faults(most=module.most_faults, name=f"data.{name}", journal=journal)


def report_faults(module: ImageData | DocumentData) -> None:
    """Write data_report.json into the run's folder, and the totals into the log, if there was any fault."""
    folder = Path(module.trainer.default_root_dir) if module.trainer else None
    if folder is None or not module.trainer.is_global_zero or not (folder / JOURNAL).is_file():
        return
    report = journal_report(folder / JOURNAL)
    file = write_report(folder, report)
    log.warning(
        "%s: %d samples were left out: %s", file, report["faults"], summary(Counter(report["reasons"]))
    )


class ExactLoader(DataLoader):
    """Begins each pass where the trainer's own count of batches says, so there is no state to keep."""

    def __iter__(self) -> Iterator:
        for batch in super().__iter__():
            yield Batch(*map(torch.from_numpy, batch)) if _is_packed(batch, np.ndarray) else batch

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


def _is_packed(batch: Any, kind: type) -> bool:
    return isinstance(batch, Batch) and isinstance(batch.ids, kind)


def lightened(batch: Any) -> Any:
    """What a worker sends: arrays of packed documents, which pass a pipe in a tenth of the time of tensors.

    A tensor would be given shared memory and a file descriptor of its own, four of them a batch.
    """
    if get_worker_info() is not None and _is_packed(batch, Tensor):
        return Batch(*(tensor.numpy() for tensor in batch))
    return batch


def exact_loader(
    module: ImageData | DocumentData, dataset: Dataset, *, seed: int | None, start: Callable[[], int]
) -> DataLoader:
    """A loader whose dataset makes whole batches, each of one window of its documents."""
    rank, world = (module.trainer.global_rank, module.trainer.world_size) if module.trainer else (0, 1)
    windows = Windows(len(dataset), module.batch_size, seed=seed, start=start, rank=rank, world=world)
    return ExactLoader(
        dataset,
        sampler=windows,
        batch_size=None,
        collate_fn=lightened,
        num_workers=module.workers,
        persistent_workers=module.workers > 0,
    )


def trained(module: LightningDataModule) -> int:
    """Batches that this run was trained on, before and after it was resumed."""
    return module.trainer.fit_loop.epoch_loop.batch_progress.total.processed if module.trainer else 0
