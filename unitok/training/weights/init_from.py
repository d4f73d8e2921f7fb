"""Warm start and fine-tuning (`init_from`): from a folder of ours, or a language model. Knows no data.

New ids (of modalities that the origin has not, and of all begins and ends of a language model) start as the
mean of its text rows; in the head as that mean, or as zeros, so that they are neither likely nor unlikely.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch

from unitok.api.model_folder import IMAGE, TEXT, Parts, load, own_config
from unitok.interop.files import Tensors, read_config, read_folder
from unitok.interop.qwen3 import from_transformers, sizes_of
from unitok.modalities.base import Modality
from unitok.modalities.image import ImageModality
from unitok.modalities.text import TextModality
from unitok.models.transformer import Transformer, TransformerSizes
from unitok.tokens.codec import Codec
from unitok.tokens.vocabulary import SharedIds, Vocabulary
from unitok.training.weights.init_embeddings import NewHead


class Start(NamedTuple):
    """What was taken over: how large its embeddings are (root mean square), and which ids have its rows."""

    scale: float
    known: tuple[range, ...]


@dataclass(frozen=True)
class Origin(ABC):
    """A model's folder that another model starts from."""

    folder: str

    @abstractmethod
    def sizes(self, *, max_length: int) -> TransformerSizes:
        """Its sizes but for the longest document. Raises ValueError where ours cannot have them."""

    @abstractmethod
    def start(
        self, model: Transformer, codec: Codec, *, new_head: NewHead = "mean", new_words: bool = False
    ) -> Start:
        """Give a model of these sizes its weights, in place; `new_words` lets text have another tokenizer.

        Raises ValueError where they do not fit.
        """


class LanguageModel(Origin):
    """A transformers folder of the Qwen3 or Llama family, whose text tokenizer the data have."""

    def sizes(self, *, max_length: int) -> TransformerSizes:
        config = read_config(self.folder)
        try:
            return TransformerSizes(**sizes_of(config) | {"max_length": max_length})
        except (KeyError, ValueError) as error:
            raise ValueError(f"{self.folder}: {error}") from error

    def start(
        self, model: Transformer, codec: Codec, *, new_head: NewHead = "mean", new_words: bool = False
    ) -> Start:
        if new_words:
            raise ValueError(f"{self.folder} is a language model, which keeps its words: leave new_words out")
        _, tensors = read_folder(self.folder)
        given = {name: tensor.float() for name, tensor in from_transformers(tensors).items()}
        known, rows = codec.modalities["text"].size, len(given["embedding.weight"])
        if known > rows:
            raise ValueError(
                f"{self.folder} has {rows} rows, the text tokenizer {known} codes: data.text_tokenizer must "
                "be its tokenizer.json"
            )
        return _take(self.folder, model, given, [SharedIds(range(known), range(known))], new_head=new_head)


class OwnModel(Origin):
    """A folder that this package wrote; rows of ids come over by the names of their modalities."""

    @cached_property
    def parts(self) -> Parts:
        """What the folder holds."""
        return load(self.folder, device="cpu", dtype="float32", verify=False)

    def sizes(self, *, max_length: int) -> TransformerSizes:
        config = asdict(self.parts.model.config)
        own = {field.name: config[field.name] for field in fields(TransformerSizes)}
        return TransformerSizes(**own | {"max_length": max_length})

    def start(
        self, model: Transformer, codec: Codec, *, new_head: NewHead = "mean", new_words: bool = False
    ) -> Start:
        self._check(codec, new_words=new_words)
        given, before = self.parts.model.state_dict(), self.parts.codec
        vocabulary, text = before.vocabulary, codec.modalities["text"]
        if new_words:
            given = _reworded(given, before.modalities["text"], text)
            vocabulary = Vocabulary(dict(vocabulary.describe()) | {"text": text.size})
        return _take(self.folder, model, given, codec.vocabulary.shared_ids(vocabulary), new_head=new_head)

    def _check(self, codec: Codec, *, new_words: bool) -> None:
        """Raises ValueError where equal codes would mean something else than they did."""
        before, told = self.parts.codec, {"text": TEXT, "image": IMAGE}
        for name in codec.modalities.keys() & before.modalities.keys() - ({"text"} if new_words else set()):
            if _meaning(codec.modalities[name]) == _meaning(before.modalities[name]):
                continue
            advice = "give boxes and points its number of bins"
            if name in told:
                advice = f"give its own, --data.{name}_tokenizer {Path(self.folder) / told[name]}, or none"
            raise ValueError(
                f"{self.folder} was trained with another {name} tokenizer than the data's: {advice}"
            )
        if codec.positions != before.positions:
            raise ValueError(
                f"{self.folder} has {before.positions} positions, the data {codec.positions}: give "
                f"--data.positions {before.positions}"
            )


def _meaning(modality: Modality) -> str:
    """What changes when the same content may get other codes; how many codes a picture has does not count."""
    if isinstance(modality, ImageModality):
        return modality.tokenizer.fingerprint(decoder=False)
    return modality.fingerprint()


@torch.no_grad()
def _reworded(given: Tensors, before: TextModality, now: TextModality) -> Tensors:
    """Weights with another text tokenizer's rows: each the mean of the pieces that its text had before.

    A code that alone is no text, such as a text's first space, gets the mean of all.
    """
    pieces = [before.encode(now.decode(torch.tensor([code])))[0] for code in range(now.size)]
    pieces = [codes if len(codes) else torch.arange(before.size) for codes in pieces]
    changed = dict(given)
    for name in ("embedding.weight", "unembedding.weight"):
        rows = torch.stack([given[name][codes].mean(dim=0) for codes in pieces])
        changed[name] = torch.cat([rows, given[name][before.size :]])
    return changed


@torch.no_grad()
def _take(
    folder: str, model: Transformer, given: Tensors, shared: Sequence[SharedIds], *, new_head: NewHead
) -> Start:
    """Fill a model with tensors of its own names, whose rows of ids are laid out anew."""
    given, text = dict(given), next(ids.old for ids in shared if ids.new.start == 0)
    root = float(given["embedding.weight"][text.start : text.stop].square().mean().sqrt())
    for name, fill in (("embedding.weight", "mean"), ("unembedding.weight", new_head)):
        old, grown = given[name], torch.zeros_like(model.state_dict()[name])
        if fill == "mean" or model.config.tie_embeddings:
            grown += old[text.start : text.stop].mean(dim=0)
        for before, now in shared:
            grown[now.start : now.stop] = old[before.start : before.stop]
        given[name] = grown
    for name, tensor in model.state_dict().items():
        if name not in given or given[name].shape != tensor.shape:
            came = tuple(given[name].shape) if name in given else "nothing"
            raise ValueError(f"{folder}: tensor {name} has {came}, expected {tuple(tensor.shape)}")
    model.load_state_dict({name: given[name] for name in model.state_dict()})
    return Start(root, tuple(ids.new for ids in shared))


def origin_of(folder: str) -> Origin:
    """The folder's kind, by the model_type of its config.json; one without is refused when it is read."""
    return LanguageModel(folder) if own_config(folder) is None else OwnModel(folder)


def fill_from_origin(config: Any) -> None:
    """Let the data of a run that starts from an own folder have its tokenizers where the config names none.

    Args:
        config: of a run, with `model.init_from` and `data`; image_tokenizer, text_tokenizer and image_shape
            are filled in, in place. With `model.new_words` the data keep a text tokenizer of their own.
    """
    folder = config.model.init_from
    own = None if folder is None else own_config(folder)
    if own is None:
        return
    for name, file in (("text_tokenizer", TEXT), ("image_tokenizer", IMAGE)):
        if config.data[name] is None and not (file == TEXT and config.model.new_words):
            config.data[name] = str(Path(folder) / file)
    shape = own.get("image", {}).get("shape")
    if config.data.image_shape is None and shape is not None:
        config.data.image_shape = tuple(shape)
