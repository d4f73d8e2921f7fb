"""LightningDataModules: from sources to batches for the trainer. Knows no model."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningDataModule
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from unitok.chat_template import ChatTemplate
from unitok.data.batches.image_batches import OneByOne, Pictures
from unitok.data.batches.loader import exact_loader, trained
from unitok.data.batches.loader_state import Progress
from unitok.data.batches.packed_documents import EncodedSource, PackedDocuments
from unitok.data.codes.build_codec import build_codec, train_text_tokenizer
from unitok.data.codes.encoding import Coded, say_without_text
from unitok.data.codes.mixture_codes import MixedDocuments
from unitok.data.codes.store import TEXT_TOKENIZER, Store, chat_of
from unitok.data.faults import Faults, faults_of_run, report_run
from unitok.data.files.remote import local
from unitok.data.mixture import Stored, check_unmixed, is_mixed, samples_of, stores_of
from unitok.data.source import Source
from unitok.data.sources import train_and_val
from unitok.data.tasks import UNPROMPTED, Task
from unitok.data.transforms.augment import Augment, augmented
from unitok.data.transforms.resize import Resize, Resized
from unitok.document import Codes
from unitok.tokens.codec import Codec
from unitok.tokens.cursor import Positions


class Example(NamedTuple):
    """A captioned image of the validation data: its codes, as training reads them, and what these show."""

    text: str
    codes: Codes
    image: Image.Image


class ImageData(LightningDataModule):
    """Pictures for a tokenizer.

    Args:
        path: a data set of any format in docs/your-data.md, or several; in place of `train` and `val`.
        train: source of training pictures.
        val: source of validation pictures.
        format: of `path`, such as webdataset, table or pairs; if absent it is recognised.
        most_faults: share of faulty pictures that stops a run, after the first 1,000 that are read or all of
            a smaller set.
        test: source of test pictures, each of its own size cut to multiples of 16; if absent those of `val`.
        size: (height, width) in pixels that every picture of training and validation is brought to.
        batch_size: pictures a batch.
        workers: processes that read; 0 reads in the training process.
        preload: hold all pictures in memory, where half of what is free holds them.
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
        if min(size) < 1:
            raise ValueError(f"size must be (height, width) of at least 1 pixel, got {tuple(size)}")
        _check_counts(batch_size=batch_size, workers=workers)
        self.crop = crop
        self.train, self.val = train_and_val(path, train, val, format=format, captions=False)
        self.test = test
        self.most_faults = most_faults
        self.size = tuple(size)
        self.batch_size, self.workers, self.preload, self.seed = batch_size, workers, preload, seed
        self._pictures: dict[str, Pictures] = {}
        self._progress = Progress()

    def ineffective_settings(self) -> dict[str, str]:
        """Settings that do nothing beside the others, and why."""
        return {}

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
                    faults=self._faults(name, source),
                )

    def _faults(self, name: str, source: Source) -> Faults:
        return faults_of_run(
            self.trainer, name, of=samples_of(source), most=self.most_faults, workers=self.workers
        )

    def teardown(self, stage: str) -> None:
        report_run(self.trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"progress": self._progress.state(self.trainer)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "train" in self._pictures:
            self._progress.go_on(state.get("progress", {}), self.train_dataloader().sampler)

    def train_dataloader(self) -> DataLoader:
        order = {"seed": self.seed, "start": lambda: trained(self.trainer), "begun": self._progress.begun}
        return self._progress.follow(self._loader("train", **order))

    def val_dataloader(self) -> DataLoader:
        return self._loader("val", seed=None)

    def test_dataloader(self) -> DataLoader:
        if self.test is None:
            return self.val_dataloader()
        faults = self._faults("test", self.test)
        pictures = Pictures(self.test, size=None, preload=False, faults=faults)
        return DataLoader(OneByOne(pictures), batch_size=None)

    def _loader(self, name: str, **order) -> DataLoader:
        return exact_loader(
            self._pictures[name], self.trainer, batch_size=self.batch_size, workers=self.workers, **order
        )


class DocumentData(LightningDataModule):
    """Packed documents for a transformer. Every batch is a pure function of (seed, number of the batch).

    Args:
        path: a data set of any format in docs/your-data.md, or several; in place of `train` and `val`.
        train: source of training documents, or the folder of their store.
        val: the same for validation, which keeps the order of the documents and drops no condition.
        format: of `path`, such as webdataset, table or pairs; if absent it is recognised.
        most_faults: share of faulty documents that stops a run, after the first 1,000 that are read or all of
            a smaller set.
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
        condition_dropout: probability that a document keeps its last segment only, or with it those of its
            modality, which guidance needs; see `arrange`.
        unprompted: modalities that are also learned without a prompt: as a document's first segment, and
            alone by `condition_dropout`.
        resize: how pictures get their size before they are encoded, such as Buckets; None leaves it to
            `image_shape`.
        augment: more training documents by mirrored and shifted pictures; None for none, and with a store.
        chat: how conversations become documents; the model's folder keeps it. A store has its own.
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
        chat: ChatTemplate = ChatTemplate(),  # noqa: B008 (it is frozen)
        seed: int = 0,
        workers: int = 0,
        codec: Codec | None = None,
    ):
        super().__init__()
        _check_counts(batch_size=batch_size, workers=workers)
        if row_length < 1:
            raise ValueError(f"row_length must be at least 1, got {row_length}")
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
        self._codec, self._given_chat = codec, chat
        self._packed: dict[str, PackedDocuments] = {}
        self._progress = Progress()

    def ineffective_settings(self) -> dict[str, str]:
        """Settings that do nothing beside the others, and why."""
        idle, stores = {}, stores_of(self.train)
        if self.text_tokenizer is not None:
            idle["text_size"] = f"data.text_tokenizer is {self.text_tokenizer}"
        elif stores:
            idle["text_size"] = f"the text tokenizer is that of the store {stores[0]}"
        if isinstance(self.train, str) and isinstance(self.val, str):
            idle |= dict.fromkeys(("resize", "most_faults"), "data.train and data.val are stores of codes")
        return idle

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

    @cached_property
    def chat(self) -> ChatTemplate:
        """The template of all conversations. Raises ValueError where two are told by different ones."""
        plain = ChatTemplate()
        templates = {self._given_chat, *map(chat_of, stores_of(self.train))} - {plain}
        if len(templates) > 1:
            raise ValueError(f"a model has one chat template; data.chat and stores have {templates}")
        return templates.pop() if templates else plain

    def _told(self, documents: Source | str) -> Source | str:
        """With conversations by the template; codes are as they were encoded."""
        return documents if isinstance(documents, str) else documents.told_by(self.chat)

    def _text_tokenizer(self, *, anew: bool = False) -> Path:
        """The tokenizer.json, trained first if there is none, or `anew` in place of an earlier run's."""
        if self.text_tokenizer is not None:
            return Path(self.text_tokenizer)
        if stores_of(self.train):
            return local(stores_of(self.train)[0]) / TEXT_TOKENIZER
        if self.trainer is None:
            raise ValueError("no text_tokenizer is given, and no run has a folder that could keep a new one")
        path = Path(self.trainer.default_root_dir) / TEXT_TOKENIZER
        if anew or not path.is_file():
            train_text_tokenizer(self._told(self.train), path, size=self.text_size)
        return path

    def prepare_data(self) -> None:
        """Train the text tokenizer, if none is given; a run that goes on has that of its beginning."""
        if self._codec is None:
            begins = self.trainer.state.fn == "fit" and not getattr(self.trainer, "resumes", False)
            self._text_tokenizer(anew=begins)

    def setup(self, stage: str) -> None:
        for name, documents, task_dropout in (
            ("train", self.train, self.condition_dropout),
            ("val", self.val, 0.0),
        ):
            if name not in self._packed:
                documents = self._told(documents)
                if name == "train" and self.augment is not None:
                    documents = augmented(documents, self.augment)
                self._packed[name] = self._pack(name, documents, task_dropout)

    def examples(self, count: int) -> list[Example]:
        """Those of the first `count` validation documents that have a text and an image."""
        documents = self._packed["val"].documents
        coded = documents.fetch(range(min(count, len(documents))))
        found = [_example(self.codec, codes) for codes in coded if codes is not None]
        return [example for example in found if example is not None]

    def _pack(self, name: str, documents: Source | str, condition_dropout: float) -> PackedDocuments:
        faults = faults_of_run(
            self.trainer, name, of=samples_of(documents), most=self.most_faults, workers=self.workers
        )
        return PackedDocuments(
            self._coded(documents, faults),
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
        report_run(self.trainer)
        mixed = self._mixed()
        if mixed and self.trainer:
            counts = mixed.counts(self._over_ranks)
            if self.trainer.is_global_zero:
                mixed.report(Path(self.trainer.default_root_dir), counts)

    def _mixed(self) -> MixedDocuments | None:
        """The training documents, if they are mixed."""
        documents = self._packed["train"].documents if "train" in self._packed else None
        return documents if isinstance(documents, MixedDocuments) else None

    def _over_ranks(self, counts: Tensor) -> Tensor:
        """The sum over all ranks."""
        if self.trainer.world_size == 1:
            return counts
        device = self.trainer.strategy.root_device
        return self.trainer.strategy.reduce(counts.to(device), reduce_op="sum").cpu()

    def state_dict(self) -> dict[str, Any]:
        """Where the run is, what its ids mean, and what it has read of a mixture."""
        mixed = self._mixed()
        return {
            "progress": self._progress.state(self.trainer),
            "codec": self.codec.fingerprint(),
            "mixture": mixed.counts(self._over_ranks).tolist() if mixed else [],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError where the ids of the checkpoint mean something else."""
        if state.get("codec") not in (None, self.codec.fingerprint()):
            raise ValueError(
                f"{self.trainer.ckpt_path} was trained with other tokenizers than those of the data: give "
                "data.text_tokenizer and data.image_tokenizer of its run, or leave --ckpt_path out"
            )
        mixed, counts = self._mixed(), state.get("mixture")
        if mixed and counts and len(counts) == len(mixed.parts):
            mixed.before = torch.tensor(counts)
        if "train" in self._packed:
            self._progress.go_on(state.get("progress", {}), self._train_loader().sampler)

    def train_dataloader(self) -> DataLoader:
        if self.trainer is None or self.trainer.global_rank == 0:
            say_without_text(self._packed["train"].documents)
        return self._train_loader()

    def _train_loader(self) -> DataLoader:
        order = {"seed": self.seed, "start": lambda: trained(self.trainer), "begun": self._progress.begun}
        return self._progress.follow(self._loader("train", **order))

    def val_dataloader(self) -> DataLoader:
        return self._loader("val", seed=None)

    def _loader(self, name: str, **order) -> DataLoader:
        return exact_loader(
            self._packed[name], self.trainer, batch_size=self.batch_size, workers=self.workers, **order
        )


def _check_counts(*, batch_size: int, workers: int) -> None:
    """Raises ValueError where no batch would be made, or fewer than no process would read."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if workers < 0:
        raise ValueError(f"workers must be 0 or more, got {workers}")


def _example(codec: Codec, document: Sequence[Codes]) -> Example | None:
    """The last text and image of a document that has both."""
    parts = {codes.modality: codes for codes in document}
    if not parts.keys() >= {"text", "image"}:
        return None
    text, image = codec.decode([parts["text"], parts["image"]])
    return Example(text.content, parts["image"], image.content)
