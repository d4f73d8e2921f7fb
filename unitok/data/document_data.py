"""The LightningDataModule of a transformer: packed documents. Knows no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningDataModule
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from unitok.api.learned_tasks import LearnedTask
from unitok.chat_template import ChatTemplate
from unitok.data.batches.batch_sampler import DocumentBatch
from unitok.data.batches.loader import build_loader, check_counts
from unitok.data.batches.loader_state import Progress
from unitok.data.batches.packed_documents import EncodedSource, PackedDocuments
from unitok.data.batches.packing import Batch
from unitok.data.codes.build_codec import CodecConfig, train_text_tokenizer
from unitok.data.codes.encoding import CodedDocuments, warn_without_text
from unitok.data.codes.mixture_codes import MixedDocuments
from unitok.data.codes.store import Store, read_chat
from unitok.data.faults import Faults, run_faults, write_run_report
from unitok.data.files.remote import local_path
from unitok.data.mixture import Stored, check_unmixed, count_samples, is_mixed, stores_of
from unitok.data.shown_tasks import shown_tasks
from unitok.data.source import Source
from unitok.data.sources import train_and_val
from unitok.data.tasks import TaskConfig
from unitok.data.transforms.augment import Augment, augment_source
from unitok.data.transforms.resize import Resize, Resized
from unitok.document import Codes
from unitok.modalities.text import TEXT_TOKENIZER
from unitok.tokens.codec import Codec


class Example(NamedTuple):
    """A captioned image of the validation data: its codes, as training reads them, decoded to an image."""

    text: str
    codes: Codes
    image: Image.Image


@dataclass(frozen=True)
class TransformConfig:
    """How samples are changed before they are encoded.

    Args:
        resize: how images are resized, such as Buckets; None leaves it to `codec.image_shape`.
        augment: adds mirrored and shifted copies of training documents; None for none, and with a store.
        chat: the chat template of conversations, saved in the model's folder. A store has its own.
    """

    resize: Resize | None = None
    augment: Augment | None = None
    chat: ChatTemplate = ChatTemplate()  # noqa: RUF009 (it is frozen)


class DocumentData(LightningDataModule):
    """Packed documents for a transformer. Every batch is a pure function of (seed, number of the batch).

    Args:
        path: a data set of any format in docs/your-data.md, or several; in place of `train` and `val`.
        train: source of training documents, or the folder of their store.
        val: the same for validation, which keeps the order of the documents and drops no condition; if
            absent, every 20th document of a source `train`.
        format: of `path`, such as webdataset, table or pairs; if absent it is detected.
        most_faults: share of corrupt documents that stops a run, after the first 1,000 that are read or all
            of a smaller set.
        codec: the tokenizers, the shape of images, further modalities.
        task: order of segments, and when the condition is dropped.
        transforms: how samples are changed before they are encoded.
        row_length: tokens per packed row; longer documents are dropped.
        batch_size: documents per batch, on each device; best fit packs them into as few rows as it can.
        seed: of order, task and dropout.
        workers: processes that read; 0 reads in the training process.
    """

    def __init__(
        self,
        path: str | list[str] | None = None,
        train: Source | str | None = None,
        val: Source | str | None = None,
        *,
        format: str | None = None,
        most_faults: float = 0.1,
        codec: CodecConfig = CodecConfig(),  # noqa: B008 (all of these are frozen)
        task: TaskConfig = TaskConfig(),  # noqa: B008
        transforms: TransformConfig = TransformConfig(),
        row_length: int = 512,
        batch_size: int = 64,
        seed: int = 0,
        workers: int = 0,
    ):
        super().__init__()
        check_counts(batch_size=batch_size, workers=workers)
        if row_length < 1:
            raise ValueError(f"row_length must be at least 1, got {row_length}")
        self.train, self.val = train_and_val(path, train, val, format=format)
        self.most_faults = most_faults
        self.codec_config, self.task, self.transforms = codec, task, transforms
        self.row_length, self.batch_size, self.workers, self.seed = row_length, batch_size, workers, seed
        if transforms.augment is not None and stores_of(self.train):
            raise ValueError(f"augment needs images, but {stores_of(self.train)[0]} is a store of codes")
        self._packed: dict[str, PackedDocuments] = {}
        self._progress = Progress()

    def ineffective_settings(self) -> dict[str, str]:
        """Settings without effect in combination with the others, and why."""
        idle, stores, text_tokenizer = {}, stores_of(self.train), self.codec_config.text_tokenizer
        if text_tokenizer is not None:
            idle["codec.text_size"] = f"data.codec.text_tokenizer is {text_tokenizer}"
        elif stores:
            idle["codec.text_size"] = f"the text tokenizer is that of the store {stores[0]}"
        if isinstance(self.train, str) and isinstance(self.val, str):
            names = ("transforms.resize", "most_faults")
            idle |= dict.fromkeys(names, "data.train and data.val are stores of codes")
        return idle

    @cached_property
    def codec(self) -> Codec:
        """Built on first use, unless one is assigned, which replaces the tokenizers.

        Raises FileNotFoundError or ValueError if a tokenizer is missing or corrupt.
        """
        if self.codec_config.image_tokenizer is None:
            raise ValueError(
                "data.codec.image_tokenizer must be the folder of a trained image tokenizer, got none"
            )
        return self.codec_config.build(self._text_tokenizer())

    @cached_property
    def chat(self) -> ChatTemplate:
        """The template of all conversations. Raises ValueError if the settings and stores disagree."""
        default = ChatTemplate()
        templates = {self.transforms.chat, *map(read_chat, stores_of(self.train))} - {default}
        if len(templates) > 1:
            raise ValueError(
                f"a model has one chat template; data.transforms.chat and stores have {templates}"
            )
        return templates.pop() if templates else default

    def _with_chat(self, documents: Source | str) -> Source | str:
        """Applies the chat template to a source; the codes of a store are final."""
        return documents if isinstance(documents, str) else documents.with_chat(self.chat)

    def _text_tokenizer(self, *, retrain: bool = False) -> Path:
        """Returns the tokenizer.json, trained first if missing, or if `retrain` replaces an earlier run's."""
        if self.codec_config.text_tokenizer is not None:
            return Path(self.codec_config.text_tokenizer)
        if stores_of(self.train):
            return local_path(stores_of(self.train)[0]) / TEXT_TOKENIZER
        if self.trainer is None:
            raise ValueError(
                "data.codec.text_tokenizer must be given: there is no run's folder for a new one"
            )
        path = Path(self.trainer.default_root_dir) / TEXT_TOKENIZER
        if retrain or not path.is_file():
            train_text_tokenizer(self._with_chat(self.train), path, size=self.codec_config.text_size)
        return path

    def prepare_data(self) -> None:
        """Trains the text tokenizer, if none is given; a resumed run keeps its own."""
        if "codec" not in self.__dict__:
            fresh = self.trainer.state.fn == "fit" and not getattr(self.trainer, "resumes", False)
            self._text_tokenizer(retrain=fresh)

    def setup(self, stage: str) -> None:
        for name, documents, dropout in (
            ("train", self.train, self.task.condition_dropout),
            ("val", self.val, 0.0),
        ):
            if name not in self._packed:
                documents = self._with_chat(documents)
                if name == "train" and self.transforms.augment is not None:
                    documents = augment_source(documents, self.transforms.augment)
                self._packed[name] = self._pack(name, documents, dropout)

    def learned_tasks(self, *, learn: Sequence[str] | None = None) -> tuple[LearnedTask, ...]:
        """Returns the tasks that a sample of the training documents shows, where `learn` have a loss."""
        return shown_tasks(self._packed["train"], chat=self.chat, learn=learn)

    def examples(self, count: int) -> list[Example]:
        """Returns examples of the first `count` validation documents, where they have a text and an image."""
        documents = self._packed["val"].documents
        coded = documents.fetch(range(min(count, len(documents))))
        examples = [_to_example(self.codec, codes) for codes in coded if codes is not None]
        return [example for example in examples if example is not None]

    def sample(self, count: int) -> list[Batch]:
        """Returns batches of up to `count` validation documents, evenly spread: the same ones each time."""
        packed = self._pack("val", self._with_chat(self.val), 0.0)
        size, count = len(packed), min(count, len(packed))
        indices = [number * size // count for number in range(count)]
        starts = range(0, count, self.batch_size)
        return [packed[DocumentBatch(0, indices[start : start + self.batch_size])] for start in starts]

    def _pack(self, name: str, documents: Source | str, condition_dropout: float) -> PackedDocuments:
        faults = run_faults(
            self.trainer,
            name,
            size=count_samples(documents),
            max_share=self.most_faults,
            workers=self.workers,
        )
        return PackedDocuments(
            self._coded(documents, faults),
            self.codec,
            row_length=self.row_length,
            task=self.task.name,
            captions=self.task.captions,
            condition_dropout=condition_dropout,
            unprompted=self.task.unprompted,
            first=self.task.first,
            answers=self.task.answers,
            seed=self.seed,
        )

    def _coded(self, documents: Source | str, faults: Faults) -> CodedDocuments:
        """Returns the codes of a store, of a source, or of all sources of a mixture."""
        if isinstance(documents, str):
            return Store(documents, self.codec)
        if isinstance(documents, Stored):
            return documents.open(self.codec)
        if is_mixed(documents):
            sources = [self._coded(source, faults) for source in documents.sources]
            return MixedDocuments(documents, sources, readers=1 + self.workers)
        check_unmixed(documents)
        if self.transforms.resize is not None:
            documents = Resized(documents, self.transforms.resize)
        return EncodedSource(documents, self.codec, faults=faults)

    def teardown(self, stage: str) -> None:
        write_run_report(self.trainer)
        mixed = self._mixed()
        if mixed and self.trainer:
            counts = mixed.counts(self._sum_over_ranks)
            if self.trainer.is_global_zero:
                mixed.report(Path(self.trainer.default_root_dir), counts)

    def _mixed(self) -> MixedDocuments | None:
        """The training documents, if they are a mixture."""
        documents = self._packed["train"].documents if "train" in self._packed else None
        return documents if isinstance(documents, MixedDocuments) else None

    def _sum_over_ranks(self, counts: Tensor) -> Tensor:
        if self.trainer.world_size == 1:
            return counts
        device = self.trainer.strategy.root_device
        return self.trainer.strategy.reduce(counts.to(device), reduce_op="sum").cpu()

    def state_dict(self) -> dict[str, Any]:
        """The run's position in the data, the fingerprint of its ids, and its counts of a mixture."""
        mixed = self._mixed()
        return {
            "progress": self._progress.state(self.trainer),
            "codec": self.codec.fingerprint(),
            "mixture": mixed.counts(self._sum_over_ranks).tolist() if mixed else [],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError if the checkpoint is of other tokenizers."""
        if state.get("codec") not in (None, self.codec.fingerprint()):
            raise ValueError(
                f"{self.trainer.ckpt_path}: trained with other tokenizers than those of the data; give the "
                "data.codec.text_tokenizer and image_tokenizer of its run, or omit --ckpt_path"
            )
        mixed, counts = self._mixed(), state.get("mixture")
        if mixed and counts and len(counts) == len(mixed.sources):
            mixed.previous_counts = torch.tensor(counts)
        if "train" in self._packed:
            self._progress.resume(state.get("progress", {}), self._train_loader().sampler)

    def train_dataloader(self) -> DataLoader:
        if self.trainer is None or self.trainer.global_rank == 0:
            warn_without_text(self._packed["train"].documents)
        return self._train_loader()

    def _train_loader(self) -> DataLoader:
        sizes = {"batch_size": self.batch_size, "workers": self.workers}
        return self._progress.loader(self._packed["train"], self.trainer, seed=self.seed, **sizes)

    def val_dataloader(self) -> DataLoader:
        sizes = {"batch_size": self.batch_size, "workers": self.workers}
        return build_loader(self._packed["val"], self.trainer, seed=None, **sizes)


def _to_example(codec: Codec, document: Sequence[Codes]) -> Example | None:
    """Returns the last text and image of a document that has codes of both, else None."""
    last = {codes.modality: codes for codes in document if codes.codes.numel()}
    if not last.keys() >= {"text", "image"}:
        return None
    text, image = codec.decode([last["text"], last["image"]])
    return Example(text.content, last["image"], image.content)
