"""Reads and writes a model's folder, for save_pretrained and from_pretrained. Knows no use of the model."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from unitok.atomic_files import finish_folder, folder_beside, refuse_occupied, write_text
from unitok.chat_template import ChatTemplate
from unitok.device import pick_device, pick_dtype
from unitok.generation.sampling import Sampling
from unitok.json_files import made_of, read_object
from unitok.modalities.image import ImageModality
from unitok.modalities.location_bins import LOCATIONS, LocationModality
from unitok.modalities.text import TextModality
from unitok.models.image_tokenizer.image_tokenizer import CONFIG_FILE, WEIGHTS_FILE, ImageTokenizer
from unitok.models.sizes import check_sizes
from unitok.models.transformer import Transformer, TransformerConfig, filled
from unitok.models.weights import read_weights, write_weights
from unitok.tokens.codec import Codec
from unitok.tokens.cursor import Positions

CONFIG, WEIGHTS, TEXT, IMAGE = "config.json", "model.safetensors", "tokenizer.json", "image_tokenizer"
CARD, SUMS = "README.md", "sha256.json"
KIND, FORMAT = "unitok", 1


class Parts(NamedTuple):
    """What a folder holds."""

    model: Transformer
    codec: Codec
    sampling: Mapping[str, Sampling]
    example_prompts: list[str]
    chat: ChatTemplate = ChatTemplate()
    fills: bool = False


def save(parts: Parts, directory: str | Path, *, card: str) -> None:
    """Write config.json, model.safetensors, tokenizer.json, image_tokenizer/, README.md, sha256.json.

    The folder has all of them anew or is as it was; other files in it stay. Errors as of `refuse_foreign`.
    """
    refuse_foreign(directory)
    with folder_beside(directory, durable=True) as beside:
        image: ImageModality = parts.codec.modalities["image"]
        image.tokenizer.save_pretrained(beside / IMAGE)
        parts.codec.modalities["text"].save(beside / TEXT)
        weights = parts.model.state_dict()
        if parts.model.config.tie_embeddings:
            del weights["unembedding.weight"]
        write_weights(beside / WEIGHTS, weights)
        write_text(beside / CONFIG, json.dumps(_config(parts), indent=2) + "\n")
        write_text(beside / CARD, card)
        sums = {
            p.relative_to(beside).as_posix(): _sha256(p) for p in sorted(beside.rglob("*")) if p.is_file()
        }
        write_text(beside / SUMS, json.dumps(sums, indent=2) + "\n")


def change_card(directory: str | Path, change: Callable[[str], str]) -> None:
    """Write a model's README.md anew, with its checksum; the folder has both or is as it was."""
    directory = Path(directory)
    card = change((directory / CARD).read_text(encoding="utf-8"))
    sums = read_object(directory / SUMS)
    with folder_beside(directory, durable=True) as beside:
        write_text(beside / CARD, card)
        sums[CARD] = _sha256(beside / CARD)
        write_text(beside / SUMS, json.dumps(sums, indent=2) + "\n")


def refuse_foreign(directory: str | Path) -> None:
    """Raises FileExistsError where there is a file, or a folder of something else than a model of ours."""
    finish_folder(directory)
    refuse_occupied(directory, ours=own_config(directory) is not None, what="a model of unitok")


def own_config(directory: str | Path) -> dict[str, Any] | None:
    """config.json of a folder that this package wrote; None of any other."""
    try:
        config = read_object(Path(directory) / CONFIG)
    except (OSError, ValueError):
        return None
    return config if config.get("model_type") == KIND else None


def _config(parts: Parts) -> dict:
    image: ImageModality = parts.codec.modalities["image"]
    return {
        "model_type": KIND,
        "format": FORMAT,
        "transformer": asdict(parts.model.config),
        "vocabulary": parts.codec.vocabulary.describe(),
        "positions": parts.codec.positions,
        "image": {"shape": image.shape, "max_side": image.max_side},
        "locations": {
            name: {"bins": modality.size}
            for name, modality in parts.codec.modalities.items()
            if isinstance(modality, LocationModality)
        },
        "sampling": {name: asdict(sampling) for name, sampling in parts.sampling.items()},
        "example_prompts": parts.example_prompts,
        "chat": asdict(parts.chat),
        "fills": parts.fills,
    }


@dataclass(frozen=True)
class _ImageSizes:
    """How many cells images have."""

    shape: tuple[int, int] | None
    max_side: int

    def __post_init__(self):
        check_sizes(max_side=self.max_side, **dict(zip(("rows", "columns"), self.shape or (), strict=False)))


@dataclass(frozen=True)
class _Config:
    """What config.json says; `made_of` checks the types."""

    transformer: TransformerConfig
    vocabulary: tuple[tuple[str, int], ...]
    positions: Positions
    image: _ImageSizes
    sampling: dict[str, Sampling]
    example_prompts: tuple[str, ...]
    chat: ChatTemplate = ChatTemplate()  # noqa: RUF009 (it is frozen)
    locations: tuple[LocationModality, ...] = ()
    fills: bool = False


def load(
    directory: str | Path, *, device: str | torch.device, dtype: str | torch.dtype, verify: bool
) -> Parts:
    """Read a folder that `save` wrote; arguments and errors as of UniTok.from_pretrained."""
    directory = Path(directory)
    finish_folder(directory)
    config = _read_config(directory)
    if verify:
        verify_sums(directory)
    place = pick_device(device)
    codec = _read_codec(directory, config)
    saved, present = list(config.vocabulary), codec.vocabulary.describe()
    if saved != present:
        raise ValueError(
            f"{directory}: the transformer was trained with the vocabulary {saved}, but the folder's "
            f"tokenizers make {present}"
        )
    if codec.vocabulary.size != (size := config.transformer.vocab_size):
        raise ValueError(f"{directory / CONFIG}: vocab_size must be {codec.vocabulary.size}, got {size}")
    model = _read_transformer(directory / WEIGHTS, config.transformer)
    codec.modalities["image"].tokenizer.to(place)
    model = model.to(device=place, dtype=pick_dtype(dtype, place))
    prompts = list(config.example_prompts)
    return Parts(model, codec, config.sampling, prompts, config.chat, config.fills)


def _read_codec(directory: Path, config: _Config) -> Codec:
    tokenizer = ImageTokenizer.from_pretrained(directory / IMAGE)
    image = ImageModality(tokenizer, shape=config.image.shape, max_side=config.image.max_side)
    text = TextModality.from_file(directory / TEXT)
    return Codec([text, image, *config.locations], positions=config.positions)


def verify_sums(directory: Path) -> None:
    """Raises ValueError naming the first file that is missing or differs from its sha256."""
    sums = read_object(directory / SUMS)
    for name in (CONFIG, WEIGHTS, TEXT, f"{IMAGE}/{CONFIG_FILE}", f"{IMAGE}/{WEIGHTS_FILE}"):
        if name not in sums:
            raise ValueError(f"{directory / SUMS}: it does not tell of {name}")
    for name, wanted in sums.items():
        if not (directory / name).is_file() or _sha256(directory / name) != wanted:
            raise ValueError(
                f"{directory / name}: missing or changed since it was written (sha256 {wanted!s:.12}…)"
            )


def _read_config(directory: Path) -> _Config:
    """What config.json says. Raises ValueError naming what is missing, unknown or of another kind."""
    path = directory / CONFIG
    try:
        values = read_object(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{directory}: no model here ({CONFIG} is missing)") from error
    kind, version = values.pop("model_type", None), values.pop("format", None)
    if kind != KIND:
        raise ValueError(f"{path}: model_type is {kind!r:.80}, not {KIND!r}")
    if version != FORMAT:
        raise ValueError(f"{path}: format {version!r:.80}; this version reads format {FORMAT}")
    for name, make in _MADE.items():
        if values.get(name) is not None:
            with _naming(f"{path}: {name}"):
                values[name] = make(values[name])
    with _naming(str(path)):
        known = {field.name: values.get(field.name) for field in fields(_Config)}
        return made_of(_Config, {name: value for name, value in known.items() if value is not None})


@contextmanager
def _naming(place: str) -> Iterator[None]:
    """Errors about values say where they stand."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _samplings(values: Any) -> dict[str, Sampling]:
    return {name: made_of(Sampling, settings) for name, settings in _object(values).items()}


def _locations(values: Any) -> list[LocationModality]:
    """Boxes and points, in order; a config that was written before there were any has none."""
    unknown = sorted(_object(values).keys() - LOCATIONS.keys())
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is unknown; there are {', '.join(LOCATIONS)}")
    return [LOCATIONS[name](made_of(_Bins, sizes).bins) for name, sizes in values.items()]


def _object(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"got {type(values).__name__}, expected an object")
    return values


@dataclass(frozen=True)
class _Bins:
    """How finely a location is told."""

    bins: int


_MADE = {
    "transformer": partial(made_of, TransformerConfig),
    "image": partial(made_of, _ImageSizes),
    "sampling": _samplings,
    "chat": partial(made_of, ChatTemplate),
    "locations": _locations,
}
"""How the objects in config.json are read, by name."""


def _read_transformer(path: Path, config: TransformerConfig) -> Transformer:
    """A transformer with the weights of a file; refuses the first that is missing, foreign or misshapen."""
    try:
        weights = read_weights(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: the transformer's weights are missing") from error
    if config.tie_embeddings and "unembedding.weight" in weights:
        raise ValueError(f"{path}: it has a head of its own, the config says tie_embeddings")
    if config.tie_embeddings and "embedding.weight" in weights:
        weights["unembedding.weight"] = weights["embedding.weight"]
    layers = {name.split(".")[1] for name in weights if name.startswith("blocks.")}
    if len(layers) != config.layers:
        raise ValueError(f"{path}: it has {len(layers)} layers, the config says {config.layers}")
    return filled(config, weights, source=path)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()
