"""One folder = one model: its files, written whole and read with every doubt named. Knows no use of them."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from unitok.chat_template import ChatTemplate
from unitok.codec import Codec
from unitok.device import pick_device, pick_dtype
from unitok.modalities.image import ImageModality
from unitok.modalities.location import LOCATIONS, LocationModality
from unitok.modalities.text import TextModality
from unitok.models.autoencoder import ImageTokenizer
from unitok.models.transformer import Transformer, TransformerConfig
from unitok.sampling import Sampling

CONFIG, WEIGHTS, TEXT, IMAGE, SUMS = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "image_tokenizer",
    "sha256.json",
)
FORMAT = 1


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

    The folder is complete or absent: it is written beside its place and then renamed.
    """
    target = Path(directory)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    beside.mkdir(parents=True)
    image: ImageModality = parts.codec.modalities["image"]
    image.tokenizer.save_pretrained(beside / IMAGE)
    parts.codec.modalities["text"].save(beside / TEXT)
    weights = {name: value.detach().cpu().contiguous() for name, value in parts.model.state_dict().items()}
    if parts.model.config.tie_embeddings:
        del weights["unembedding.weight"]
    save_file(weights, beside / WEIGHTS, metadata={"format": "pt"})
    (beside / CONFIG).write_text(json.dumps(_config(parts), indent=2) + "\n")
    (beside / "README.md").write_text(card)
    sums = {str(p.relative_to(beside)): _sha256(p) for p in sorted(beside.rglob("*")) if p.is_file()}
    (beside / SUMS).write_text(json.dumps(sums, indent=2) + "\n")
    _replace_folder(beside, target)


def _config(parts: Parts) -> dict:
    image: ImageModality = parts.codec.modalities["image"]
    return {
        "model_type": "unitok",
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


def load(directory: str | Path, *, device: str, dtype: str, verify: bool) -> Parts:
    """Read a folder that `save` wrote; arguments and errors as of UniTok.from_pretrained."""
    directory = Path(directory)
    if not (directory / CONFIG).is_file():
        raise FileNotFoundError(f"{directory}: no model here ({CONFIG} is missing)")
    if verify:
        verify_sums(directory)
    config = _read_config(directory / CONFIG)
    sizes, sampling = _settings(directory / CONFIG, config)
    chat = _chat(directory / CONFIG, config)
    place = pick_device(device)
    image_tokenizer = ImageTokenizer.from_pretrained(directory / IMAGE).to(place)
    codec = Codec(
        [
            TextModality.from_file(directory / TEXT),
            ImageModality(
                image_tokenizer, shape=config["image"]["shape"], max_side=config["image"]["max_side"]
            ),
            *_locations(directory / CONFIG, config),
        ],
        positions=config["positions"],
    )
    saved = [tuple(entry) for entry in config["vocabulary"]]
    if saved != codec.vocabulary.describe():
        raise ValueError(
            f"{directory}: the transformer was trained with the vocabulary {saved}, but the folder's "
            f"tokenizers make {codec.vocabulary.describe()}"
        )
    model = _load_transformer(directory / WEIGHTS, sizes)
    model = model.to(device=place, dtype=pick_dtype(dtype, place))
    return Parts(model, codec, sampling, config["example_prompts"], chat, config.get("fills") is True)


def verify_sums(directory: Path) -> None:
    """Raises ValueError naming the first file that is missing or differs from its sha256."""
    if not (directory / SUMS).is_file():
        raise FileNotFoundError(f"{directory}: {SUMS} is missing")
    for name, wanted in json.loads((directory / SUMS).read_text()).items():
        if not (directory / name).is_file() or _sha256(directory / name) != wanted:
            raise ValueError(
                f"{directory / name}: missing or changed since it was written (sha256 {wanted[:12]}…)"
            )


def _read_config(path: Path) -> dict:
    try:
        config = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "unitok":
        raise ValueError(f"{path}: model_type is {kind!r}, not 'unitok'")
    if config.get("format") != FORMAT:
        raise ValueError(f"{path}: format {config.get('format')}; this version reads format {FORMAT}")
    return config


def _settings(path: Path, config: dict) -> tuple[TransformerConfig, dict[str, Sampling]]:
    """Sizes and default sampling of a config; raises ValueError naming what is missing or unknown."""
    keys = ("transformer", "vocabulary", "positions", "image", "sampling", "example_prompts")
    missing = [key for key in keys if config.get(key) is None]
    if missing:
        raise ValueError(f"{path}: {', '.join(missing)} is missing")
    try:
        sampling = {name: Sampling(**values) for name, values in config["sampling"].items()}
        return TransformerConfig(**config["transformer"]), sampling
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _chat(path: Path, config: dict) -> ChatTemplate:
    """The template of conversations; the plain one in a config that was written before there was any."""
    try:
        return ChatTemplate(**config.get("chat", {}))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: chat: {error}") from error


def _locations(path: Path, config: dict) -> list[LocationModality]:
    """Boxes and points of a config, in order; none in one that was written before there were any."""
    try:
        return [LOCATIONS[name](**values) for name, values in config.get("locations", {}).items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path}: locations are {', '.join(LOCATIONS)} with their bins: {error!r}"
        ) from error


def _load_transformer(path: Path, config: TransformerConfig) -> Transformer:
    """A transformer with the weights of a file; refuses the first that is missing, foreign or misshapen."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the transformer's weights are missing")
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged or not safetensors ({error})") from error
    if config.tie_embeddings and "embedding.weight" in weights:
        weights["unembedding.weight"] = weights["embedding.weight"]
    model = Transformer(config)
    wanted = model.state_dict()
    for name in sorted(wanted.keys() ^ weights.keys()):
        raise ValueError(f"{path}: {name} is {'missing' if name in wanted else 'not part of this model'}")
    for name, value in wanted.items():
        if value.shape != weights[name].shape:
            raise ValueError(
                f"{path}: {name} is {tuple(weights[name].shape)}; the config says {tuple(value.shape)}"
            )
    model.load_state_dict(weights)
    return model


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _replace_folder(new: Path, target: Path) -> None:
    """Put a folder in another's place; the old one is removed only once the new one is there."""
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
