"""Warm start and fine-tuning (`init_from`): from a folder of ours, or a language model. Knows no data.

New ids (those of modalities that the origin lacks, and all begins and ends when it is a language model) start
as the mean of its text rows; in the head as that mean or as zeros, so that they are neither likely nor
unlikely. Those that do what an id of a language model does, which begins or ends its texts, start as its row,
so that the model knows how to stop before it is trained.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from unitok.api.learned_tasks import LearnedTask
from unitok.api.model_folder import Parts, load, own_config
from unitok.interop.files import Tensors
from unitok.interop.language.folder import LanguageFolder
from unitok.modalities.base import Modality
from unitok.modalities.image import IMAGE_TOKENIZER, ImageModality
from unitok.modalities.text import TEXT_TOKENIZER, TextModality
from unitok.models.transformer import Transformer, TransformerSizes
from unitok.tokens.codec import Codec
from unitok.tokens.vocabulary import SharedIds, Vocabulary
from unitok.training.weights.init_embeddings import NewHead, scale_bridge
from unitok.training.weights.parts import Part, part_of


@dataclass(frozen=True)
class StartConfig:
    """The weights before the first step.

    Args:
        init_from: model folder to start from: one that this script exported, with its two tokenizers, or a
            transformers folder of a language model (Qwen3, Qwen2, Llama, Gemma), alone or inside one that
            sees (LLaVA, PaliGemma, InternVL, Qwen3-VL); data.codec.text_tokenizer must then be its
            tokenizer.json. Its sizes replace model.sizes, but for max_length and how the variant sees images.
        new_head: initial head rows of new ids when starting from a model: "mean" of the text rows, or "zero".
        new_words: whether the data have their own text tokenizer although init_from is a UniTok folder; each
            new code starts as the mean of the codes that the old tokenizer gives its text.
        freeze_steps: steps in which only the rows of new ids, and a bridge, are trained.
        code_scale: root mean square of the code embeddings where they are initialised from code features.
        origin_data: what init_from learned, whose loss tells how much of it the run forgets: "shapes", the
            path of a data set, a store, or a source as in data.train. None takes the validation data of the
            run beside the folder.
        origin_suite: a suite of `unitok evaluate` without data of its own, such as shapes, that measures
            init_from before the first step and the result.
        parts: what is trained: some of rows (of new ids), words (the rows of known ids), blocks, bridge,
            bridge.out (its last layer), cross, visual, encoder; None for all but the encoder.
    """

    init_from: str | None = None
    new_head: NewHead = "mean"
    new_words: bool = False
    freeze_steps: int = 0
    code_scale: float = 0.3
    origin_data: dict[str, Any] | str | None = None
    origin_suite: str | None = None
    parts: Sequence[Part] | None = None

    def __post_init__(self):
        if self.new_words and self.init_from is None:
            raise ValueError("new_words needs model.start.init_from, the model to start from")


class WarmStart(NamedTuple):
    """Root mean square of the origin's embeddings, the ids that have rows from the origin, and the tasks that
    it learned: those of a language model are none of ours, and None are not recorded."""

    scale: float
    known_ids: tuple[range, ...]
    tasks: tuple[LearnedTask, ...] | None = ()


@dataclass(frozen=True)
class Origin(ABC):
    """The folder of a model that another model starts from."""

    folder: str

    @abstractmethod
    def sizes(self, *, max_length: int) -> TransformerSizes:
        """The model's sizes, except max_length. Raises ValueError if our transformer cannot have them."""

    @abstractmethod
    def start(
        self, model: Transformer, codec: Codec, *, new_head: NewHead = "mean", new_words: bool = False
    ) -> WarmStart:
        """Load the weights into a model of these sizes, in place; `new_words` allows another text tokenizer.

        Raises ValueError if they do not fit.
        """


class LanguageModel(Origin):
    """A transformers folder with a language model; the data must have its text tokenizer."""

    @cached_property
    def content(self) -> LanguageFolder:
        """What the folder holds."""
        return LanguageFolder(self.folder)

    def sizes(self, *, max_length: int) -> TransformerSizes:
        return self.content.sizes(max_length=max_length)

    def start(
        self, model: Transformer, codec: Codec, *, new_head: NewHead = "mean", new_words: bool = False
    ) -> WarmStart:
        if new_words:
            raise ValueError(
                f"{self.folder}: a language model keeps its text tokenizer: new_words must be false"
            )
        weights = self.content.weights(model.sizes)
        codes, rows = codec.modalities["text"].size, len(weights["embedding.weight"])
        if codes > rows:
            raise ValueError(
                f"{self.folder}: {rows} embedding rows for a text tokenizer of {codes} codes: "
                "data.codec.text_tokenizer must be the model's tokenizer.json"
            )
        text = SharedIds(range(codes), range(codes))
        alike = {new: old for new, old in self._alike(codec).items() if old < rows}
        return _load_rearranged(self.folder, model, weights, [text], new_head=new_head, alike=alike)

    def _alike(self, codec: Codec) -> dict[int, int]:
        """New ids, each with the id of the language model that does the same."""
        tokenizer, vocabulary = codec.modalities["text"].tokenizer, codec.vocabulary
        bos, eos = (self.content.special_id(kind, tokenizer) for kind in ("bos", "eos"))
        ids = {vocabulary.document_begin: bos, vocabulary.end("text"): eos, vocabulary.document_end: eos}
        return {new: old for new, old in ids.items() if old is not None}


class OwnModel(Origin):
    """A UniTok folder; the rows of ids are matched by the names of their modalities."""

    @cached_property
    def parts(self) -> Parts:
        """The folder's model and codec."""
        return load(self.folder, device="cpu", dtype="float32", verify=False)

    def sizes(self, *, max_length: int) -> TransformerSizes:
        return replace(self.parts.model.sizes, max_length=max_length)

    def start(
        self, model: Transformer, codec: Codec, *, new_head: NewHead = "mean", new_words: bool = False
    ) -> WarmStart:
        self._check(codec, new_words=new_words)
        weights, old = self.parts.model.state_dict(), self.parts.codec
        if not (old.vision and codec.vision):
            weights = {name: weight for name, weight in weights.items() if not name.startswith("bridge.")}
        vocabulary, text = old.vocabulary, codec.modalities["text"]
        if new_words:
            weights = _replace_text_rows(weights, old.modalities["text"], text)
            vocabulary = Vocabulary(dict(vocabulary.describe()) | {"text": text.size})
        shared = codec.vocabulary.shared_ids(vocabulary)
        start = _load_rearranged(self.folder, model, weights, shared, new_head=new_head)
        return start._replace(tasks=self.parts.tasks)

    def _check(self, codec: Codec, *, new_words: bool) -> None:
        """Raises ValueError if a code of the data means something else than in the folder."""
        old, files = self.parts.codec, {"text": TEXT_TOKENIZER, "image": IMAGE_TOKENIZER}
        for name in codec.modalities.keys() & old.modalities.keys() - ({"text"} if new_words else set()):
            if _code_fingerprint(codec.modalities[name]) == _code_fingerprint(old.modalities[name]):
                continue
            advice = "its settings must be those of the folder"
            if name in files:
                advice = f"give --data.codec.{name}_tokenizer {Path(self.folder) / files[name]}, or none"
            raise ValueError(
                f"{self.folder}: trained with another {name} tokenizer than the data's: {advice}"
            )
        seen, expected = (one.vision and one.vision.tile_fingerprint() for one in (codec, old))
        if expected not in (None, seen):
            raise ValueError(f"{self.folder}: data.codec.vision must be the folder's, {expected}, got {seen}")
        if codec.positions != old.positions:
            raise ValueError(
                f"{self.folder}: trained with {old.positions} positions, the data have {codec.positions}: "
                f"give --data.codec.positions {old.positions}"
            )


def _code_fingerprint(modality: Modality) -> str:
    """A fingerprint of the mapping from content to codes; the number of codes per image does not count."""
    if isinstance(modality, ImageModality):
        return modality.tokenizer.fingerprint(decoder=False)
    return modality.fingerprint()


@torch.no_grad()
def _replace_text_rows(weights: Tensors, old: TextModality, new: TextModality) -> Tensors:
    """Returns weights with rows for another text tokenizer: each the mean of the old codes of its text.

    A code that has no text of its own, such as a text's first space, gets the mean of all rows.
    """
    old_codes = [old.encode(new.decode(torch.tensor([code])))[0] for code in range(new.size)]
    old_codes = [codes if len(codes) else torch.arange(old.size) for codes in old_codes]
    result = dict(weights)
    for name in ("embedding.weight", "unembedding.weight"):
        rows = torch.stack([weights[name][codes].mean(dim=0) for codes in old_codes])
        result[name] = torch.cat([rows, weights[name][old.size :]])
    return result


@torch.no_grad()
def _load_rearranged(
    folder: str,
    model: Transformer,
    weights: Tensors,
    shared: Sequence[SharedIds],
    *,
    new_head: NewHead,
    alike: Mapping[int, int] = MappingProxyType({}),
) -> WarmStart:
    """Load weights into a model after moving the rows of ids to their new places; new ids that are `alike`
    old ones start as their rows."""
    weights, text = dict(weights), next(ids.old for ids in shared if ids.new.start == 0)
    scale = float(weights["embedding.weight"][text.start : text.stop].square().mean().sqrt())
    for name, fill in (("embedding.weight", "mean"), ("unembedding.weight", new_head)):
        old, new = weights[name], torch.zeros_like(model.state_dict()[name])
        if fill == "mean" or model.sizes.tie_embeddings:
            new += old[text.start : text.stop].mean(dim=0)
        for old_ids, new_ids in shared:
            new[new_ids.start : new_ids.stop] = old[old_ids.start : old_ids.stop]
        for new_id, old_id in alike.items():
            new[new_id] = old[old_id]
        weights[name] = new
    if not any(name.startswith("bridge.") for name in weights):  # a new bridge
        scale_bridge(model, scale)
        weights |= {name: weight for name, weight in model.state_dict().items() if name.startswith("bridge.")}
    for part in ("cross", "visual"):  # of gates or updates of zero: new ones change nothing at first
        if not any(part_of(name) == part for name in weights):
            weights |= {name: weight for name, weight in model.state_dict().items() if part_of(name) == part}
    for name, tensor in model.state_dict().items():
        shape = tuple(weights[name].shape) if name in weights else "no such tensor"
        if shape != tuple(tensor.shape):
            raise ValueError(f"{folder}: tensor {name} must have shape {tuple(tensor.shape)}, got {shape}")
    model.load_state_dict({name: weights[name] for name in model.state_dict()})
    return WarmStart(scale, tuple(ids.new for ids in shared))


def open_origin(folder: str) -> Origin:
    """Opens a model folder of either kind; a folder of neither kind fails when it is read."""
    return LanguageModel(folder) if own_config(folder) is None else OwnModel(folder)


def fill_from_origin(config: Any) -> None:
    """Fill a run's config with tokenizers and vision of the UniTok folder it starts from, if it has none.

    Args:
        config: of a run, with `model.start` and `data.codec`; image_tokenizer, text_tokenizer, image_shape
            and vision are set in place. With `new_words` the data keep their own text tokenizer.
    """
    start, codec = config.model.start, config.data.codec
    folder = start.init_from
    own = None if folder is None else own_config(folder)
    if own is None:
        return
    for name, file in (("text_tokenizer", TEXT_TOKENIZER), ("image_tokenizer", IMAGE_TOKENIZER)):
        if codec[name] is None and not (file == TEXT_TOKENIZER and start.new_words):
            codec[name] = str(Path(folder) / file)
    shape = own.get("image", {}).get("shape")
    if codec.image_shape is None and shape is not None:
        codec.image_shape = tuple(shape)
    if codec.vision is None and own.get("vision") is not None:
        codec.vision = folder
