"""The codec's part of a model folder: settings in config.json, and files. Knows places, no modality's inside.

Text and images have their places at the top, boxes and points theirs under "locations"; all later modalities
are under "modalities", in config.json and among the folders. No class is imported: see modalities/kinds.py.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import unitok.modalities.actions  # noqa: F401 (registers its class)
from unitok.modalities.base import Modality
from unitok.modalities.image import ImageModality
from unitok.modalities.kinds import check_name, check_registered, kind_of
from unitok.modalities.location_bins import LOCATIONS
from unitok.modalities.text import TextModality
from unitok.modalities.vision import ENCODER, FOLDER, VisionConfig, open_vision
from unitok.tokens.codec import Codec
from unitok.tokens.cursor import Positions
from unitok.tokens.vision_layout import VISION

CONFIG, MODALITIES = "config.json", "modalities"
_AT_THE_TOP = (TextModality, ImageModality, *LOCATIONS.values())
"""Kinds whose files, if they have any, lie in the model's folder itself."""


class _Saved(NamedTuple):
    """What a folder holds of a modality: its class, its settings, and the folder of its files."""

    kind: type[Modality]
    settings: dict[str, Any]
    folder: Path


def describe_modalities(codec: Codec) -> dict[str, Any]:
    """The keys of config.json that hold the settings of a codec's modalities.

    Raises ValueError for a modality that is not registered, which no folder could name.
    """
    image, locations, later = {}, {}, {}
    for name, modality in codec.modalities.items():
        check_registered(modality)
        kind, settings = type(modality), modality.settings()
        if kind is ImageModality:
            image = settings
        elif kind in LOCATIONS.values():
            locations[name] = settings
        elif kind is not TextModality:
            later[name] = {"kind": kind.__name__, **settings}
    settings = {"image": image, "locations": locations} | ({MODALITIES: later} if later else {})
    return settings if codec.vision is None else settings | {VISION: codec.vision.settings()}


def save_modalities(codec: Codec, directory: Path) -> None:
    """Write the files of a codec's modalities into a model's folder."""
    for name, modality in codec.modalities.items():
        folder = directory if type(modality) in _AT_THE_TOP else directory / MODALITIES / name
        modality.save(folder)


def load_codec(
    directory: Path, config: Mapping[str, Any], *, order: list[str], positions: Positions
) -> Codec:
    """Build the codec of a model's folder.

    Args:
        directory: the folder.
        config: the keys of its config.json that `describe_modalities` writes.
        order: the modalities in the order of their ids.
        positions: "grid" or "sequential", see Cursor.

    Raises:
        OSError: a file is missing.
        ValueError: a kind is not registered, a setting is wrong, or a file is corrupt; the error names it.
    """
    modalities = []
    for name, saved in _read(directory, config):
        with _errors_of(name, directory):
            modalities.append(_load(name, saved))
    modalities.sort(key=lambda modality: [*order, modality.name].index(modality.name))
    vision = None
    if config.get(VISION) is not None:
        with _errors_of(VISION, directory):
            settings = VisionConfig.from_json(config[VISION]).placed(directory / FOLDER / ENCODER)
            vision = open_vision(settings, modalities)
    with _errors_of("modalities", directory):
        return Codec(modalities, positions=positions, vision=vision)


@contextmanager
def _errors_of(name: str, directory: Path) -> Iterator[None]:
    """Prefix an error with the modality that it is about, and with config.json unless it names a file."""
    try:
        yield
    except (ValueError, TypeError) as error:
        file = "" if str(directory) in str(error) else f"{directory / CONFIG}: "
        raise ValueError(f"{file}{name}: {error}") from error


def _read(directory: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, _Saved]]:
    """The modalities of a config, by name."""
    yield "text", _Saved(TextModality, {}, directory)
    yield "image", _Saved(ImageModality, config["image"], directory)
    for name, settings in config["locations"].items():
        with _errors_of("locations", directory):
            if name not in LOCATIONS:
                raise ValueError(f"must be some of {', '.join(LOCATIONS)}, got {name!r:.80}")
        yield name, _Saved(LOCATIONS[name], settings, directory)
    for name, settings in config[MODALITIES].items():
        with _errors_of(MODALITIES, directory):
            check_name(name)
        with _errors_of(name, directory):
            kind = kind_of(settings.get("kind"))
        others = {key: value for key, value in settings.items() if key != "kind"}
        yield name, _Saved(kind, others, directory / MODALITIES / name)


def _load(name: str, saved: _Saved) -> Modality:
    modality = saved.kind.load(saved.folder, saved.settings)
    if modality.name != name:
        raise ValueError(f"its name must be {name!r}, got {modality.name!r:.80}")
    return modality
