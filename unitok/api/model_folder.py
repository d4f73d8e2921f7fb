"""Reads and writes a model's folder, for save_pretrained and from_pretrained. Knows no use of the model."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from unitok.api.codec_folder import CONFIG, describe_modalities, load_codec, save_modalities
from unitok.api.learned_tasks import LearnedTask, tasks_from_json, tasks_to_json
from unitok.atomic_files import atomic_folder, finish_folder, refuse_occupied, write_text
from unitok.chat_template import ChatTemplate
from unitok.device import pick_device, pick_dtype
from unitok.generation.sampling import Sampling
from unitok.json_files import build_dataclass, read_object, settings_of
from unitok.modalities.image import IMAGE_TOKENIZER
from unitok.modalities.text import TEXT_TOKENIZER
from unitok.models.image_tokenizer.folder import CONFIG_FILE, WEIGHTS_FILE
from unitok.models.transformer import Transformer, TransformerConfig, transformer_of
from unitok.models.weights import read_weights, write_weights
from unitok.tokens.codec import Codec
from unitok.tokens.cursor import Positions

WEIGHTS, CARD, SUMS = "model.safetensors", "README.md", "sha256.json"
KIND, FORMAT = "unitok", 1


class Parts(NamedTuple):
    """The content of a model folder."""

    model: Transformer
    codec: Codec
    sampling: Mapping[str, Sampling]
    example_prompts: list[str]
    chat: ChatTemplate = ChatTemplate()
    fills: bool = False
    tasks: tuple[LearnedTask, ...] | None = None


def save(parts: Parts, directory: str | Path, *, card: str) -> None:
    """Write config.json, model.safetensors, README.md, sha256.json, and the modalities' files.

    Either all of them are replaced or none; other files in the folder stay.

    Raises:
        FileExistsError: see `refuse_foreign`.
        ValueError: a modality is not registered.
    """
    refuse_foreign(directory)
    with atomic_folder(directory, durable=True) as beside:
        save_modalities(parts.codec, beside)
        weights = parts.model.state_dict()
        if parts.model.sizes.tie_embeddings:
            del weights["unembedding.weight"]
        if (vision := parts.codec.vision) is not None:
            vision.save(beside, parts.model.bridge)
            for name in vision.kept_names(parts.model.bridge):
                del weights[f"bridge.{name}"]
        write_weights(beside / WEIGHTS, weights)
        write_text(beside / CONFIG, json.dumps(_config(parts), indent=2) + "\n")
        write_text(beside / CARD, card)
        write_text(beside / SUMS, json.dumps(_checksums(beside), indent=2) + "\n")


def update_card(
    directory: str | Path, update: Callable[[str], str], *, tasks: Sequence[LearnedTask] | None = None
) -> None:
    """Rewrite a model's README.md, its `tasks` if given, and their checksums; all are replaced or none."""
    directory = Path(directory)
    with _replaced_files(directory) as beside:
        write_text(beside / CARD, update((directory / CARD).read_text(encoding="utf-8")))
        if tasks is not None:
            config = read_object(directory / CONFIG) | {"tasks": tasks_to_json(tasks)}
            write_text(beside / CONFIG, json.dumps(config, indent=2) + "\n")


def convert_weights(directory: str | Path, dtype: str) -> None:
    """Rewrite the weights of a model's transformer and image tokenizer in another type, such as float16."""
    directory, kind = Path(directory), pick_dtype(dtype, torch.device("cpu"))
    with _replaced_files(directory) as beside:
        for name in (WEIGHTS, f"{IMAGE_TOKENIZER}/{WEIGHTS_FILE}"):
            weights = read_weights(directory / name)
            (beside / name).parent.mkdir(exist_ok=True)
            write_weights(
                beside / name, {key: w.to(kind) if w.is_floating_point() else w for key, w in weights.items()}
            )


@contextmanager
def _replaced_files(directory: Path) -> Iterator[Path]:
    """A folder whose files, with their checksums, replace those of a model at the end: all or none."""
    sums = read_object(directory / SUMS)
    with atomic_folder(directory, durable=True) as beside:
        yield beside
        write_text(beside / SUMS, json.dumps(sums | _checksums(beside), indent=2) + "\n")


def refuse_foreign(directory: str | Path) -> None:
    """Raise FileExistsError if the path is a file, or a folder that holds anything but a unitok model."""
    finish_folder(directory)
    refuse_occupied(directory, ours=own_config(directory) is not None, what="a model of unitok")


def own_config(directory: str | Path) -> dict[str, Any] | None:
    """Read config.json of a folder that this package wrote; None for any other folder."""
    try:
        config = read_object(Path(directory) / CONFIG)
    except (OSError, ValueError):
        return None
    return config if config.get("model_type") == KIND else None


def read_tasks(directory: str | Path) -> tuple[LearnedTask, ...] | None:
    """Read the list of tasks of a model's folder; None if it has none.

    Raises:
        OSError, ValueError: config.json is missing or corrupt.
    """
    values = read_object(Path(directory) / CONFIG).get("tasks")
    with _errors_at(f"{Path(directory) / CONFIG}: tasks"):
        return None if values is None else tasks_from_json(values)


def _config(parts: Parts) -> dict:
    config = {
        "model_type": KIND,
        "format": FORMAT,
        "transformer": parts.model.config.to_json(),
        "vocabulary": parts.codec.vocabulary.describe(),
        "positions": parts.codec.positions,
        **describe_modalities(parts.codec),
        "sampling": {name: settings_of(sampling) for name, sampling in parts.sampling.items()},
        "example_prompts": parts.example_prompts,
        "chat": settings_of(parts.chat),
        "fills": parts.fills,
    }
    return config if parts.tasks is None else config | {"tasks": tasks_to_json(parts.tasks)}


@dataclass(frozen=True)
class _Config:
    """The content of config.json; `build_dataclass` checks the types."""

    transformer: TransformerConfig
    vocabulary: tuple[tuple[str, int], ...]
    positions: Positions
    image: dict[str, Any]
    sampling: dict[str, Sampling]
    example_prompts: tuple[str, ...]
    chat: ChatTemplate = ChatTemplate()  # noqa: RUF009 (it is frozen)
    locations: dict[str, dict] | None = None
    modalities: dict[str, dict] | None = None
    vision: dict[str, Any] | None = None
    fills: bool = False
    tasks: tuple[LearnedTask, ...] | None = None


def load(
    directory: str | Path, *, device: str | torch.device, dtype: str | torch.dtype, verify: bool
) -> Parts:
    """Read a folder that `save` wrote; arguments and errors are those of UniTok.from_pretrained."""
    directory = Path(directory)
    finish_folder(directory)
    config = _read_config(directory)
    if verify:
        verify_checksums(directory)
    device = pick_device(device)
    modalities = {
        "image": config.image,
        "locations": config.locations or {},
        "modalities": config.modalities or {},
        "vision": config.vision,
    }
    trained = list(config.vocabulary)
    order = [name for name, _ in trained]
    codec = load_codec(directory, modalities, order=order, positions=config.positions)
    present = codec.vocabulary.describe()
    if trained != present:
        raise ValueError(
            f"{directory}: the transformer was trained with the vocabulary {trained}, but the folder's "
            f"tokenizers have {present}"
        )
    if codec.vocabulary.size != (size := config.transformer.vocab_size):
        raise ValueError(f"{directory / CONFIG}: vocab_size must be {codec.vocabulary.size}, got {size}")
    model = _read_transformer(directory / WEIGHTS, config.transformer, codec)
    codec.to(device)
    model = model.to(device=device, dtype=pick_dtype(dtype, device))
    prompts = list(config.example_prompts)
    return Parts(model, codec, config.sampling, prompts, config.chat, config.fills, config.tasks)


def verify_checksums(directory: Path) -> None:
    """Raise ValueError naming the first file that is missing or differs from its sha256."""
    sums = read_object(directory / SUMS)
    images = [f"{IMAGE_TOKENIZER}/{name}" for name in (CONFIG_FILE, WEIGHTS_FILE)]
    for name in (CONFIG, WEIGHTS, TEXT_TOKENIZER, *images):
        if name not in sums:
            raise ValueError(f"{directory / SUMS}: no checksum of {name}")
    for name, expected in sums.items():
        if not (directory / name).is_file() or _sha256(directory / name) != expected:
            raise ValueError(
                f"{directory / name}: missing or changed since it was written (sha256 {expected!s:.12}…)"
            )


def _read_config(directory: Path) -> _Config:
    """Read config.json. Raises ValueError naming the key that is missing, unknown or of the wrong type."""
    path = directory / CONFIG
    try:
        values = read_object(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{directory}: not a model folder ({CONFIG} is missing)") from error
    kind, version = values.pop("model_type", None), values.pop("format", None)
    if kind != KIND:
        raise ValueError(f"{path}: model_type must be {KIND!r}, got {kind!r:.80}")
    if version != FORMAT:
        raise ValueError(f"{path}: format must be {FORMAT} in this version, got {version!r:.80}")
    for name, read in _READERS.items():
        if values.get(name) is not None:
            with _errors_at(f"{path}: {name}"):
                values[name] = read(values[name])
    with _errors_at(str(path)):
        known = {field.name: values.get(field.name) for field in fields(_Config)}
        return build_dataclass(_Config, {name: value for name, value in known.items() if value is not None})


@contextmanager
def _errors_at(place: str) -> Iterator[None]:
    """Prefix the message of a ValueError with the place of the value."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _read_sampling(values: Any) -> dict[str, Sampling]:
    if not isinstance(values, dict):
        raise ValueError(f"must be an object, got {type(values).__name__}")
    return {name: build_dataclass(Sampling, settings) for name, settings in values.items()}


_READERS = {
    "transformer": TransformerConfig.from_json,
    "sampling": _read_sampling,
    "chat": partial(build_dataclass, ChatTemplate),
    "tasks": tasks_from_json,
}
"""Readers of the objects in config.json, by key."""


def _read_transformer(path: Path, config: TransformerConfig, codec: Codec) -> Transformer:
    """Load a transformer. Raises ValueError for the first weight that is missing, unknown or misshapen."""
    try:
        weights = read_weights(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: not found, the transformer's weights are missing") from error
    if config.sizes.tie_embeddings and "unembedding.weight" in weights:
        raise ValueError(f"{path}: unembedding.weight must be absent, as {CONFIG} has tie_embeddings")
    if config.sizes.tie_embeddings and "embedding.weight" in weights:
        weights["unembedding.weight"] = weights["embedding.weight"]
    if codec.vision is not None:
        weights |= {f"bridge.{name}": weight for name, weight in codec.vision.kept_weights().items()}
    layers = {name.split(".")[1] for name in weights if name.startswith("blocks.")}
    if len(layers) != config.sizes.layers:
        raise ValueError(f"{path}: layers must be {config.sizes.layers}, as in {CONFIG}, got {len(layers)}")
    return transformer_of(config, weights, build_bridge=codec.build_bridge, source=path)


def _checksums(directory: Path) -> dict[str, str]:
    """The sha256 of each file in a folder, by its path there."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): _sha256(path) for path in paths}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()
