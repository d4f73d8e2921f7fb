"""Finds the data of the model that a run starts from: the validation data of its own run. Knows no model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from unitok.api.model_folder import own_config
from unitok.chat_template import ChatTemplate
from unitok.data.batches.packing import IGNORED, Batch
from unitok.data.codes.store import INDEX
from unitok.data.document_data import DocumentData, TransformConfig
from unitok.data.source import SplitOf
from unitok.data.sources import Documents
from unitok.data.tasks import TaskConfig
from unitok.data.transforms.resize import Resize
from unitok.json_files import build_dataclass
from unitok.renamed import check_settings
from unitok.training.class_paths import build
from unitok.training.open_source import open_source, reader_names
from unitok.training.run.checkpoint import RUN_CONFIG
from unitok.training.weights.init_from import StartConfig

SAMPLE = 64
"""Documents of the origin that are measured."""
PLACES = (RUN_CONFIG, f"transformer/{RUN_CONFIG}")
"""Settings of the run that made a model, beside the model's folder: in a run's folder, and in a demo's."""


class OriginData(NamedTuple):
    """A fixed sample of the documents that a model learned: their name, number and batches."""

    name: str
    documents: int
    batches: list[Batch]


def open_origin_data(start: StartConfig, run: DocumentData) -> OriginData:
    """Opens the documents of the model that a run starts from, in the ids of the run.

    Args:
        start: names the model, and may name the documents.
        run: gives the codec, and whatever the model's own run does not say.

    Raises:
        FileNotFoundError: neither names documents, or they are gone.
        ValueError: the documents cannot be read, or not be written in the ids of the run.
    """
    settings = _run_settings(start)
    if start.origin_data is not None:
        documents = _open(start.origin_data)
    elif settings:
        _check_modalities(start, run)
        documents = _validation_data(settings)
    else:
        raise FileNotFoundError(
            f"{start.init_from}: no run beside it names its data: give --model.start.origin_data"
        )
    transforms, task = settings.get("transforms") or {}, settings.get("task")
    data = DocumentData(
        train=documents,
        val=documents,
        task=build_dataclass(TaskConfig, task) if task else run.task,
        transforms=TransformConfig(
            resize=build(transforms["resize"], Resize, what="resize") if transforms.get("resize") else None,
            chat=build_dataclass(ChatTemplate, transforms.get("chat") or {}),
        ),
        row_length=max(run.row_length, settings.get("row_length", 0)),
        batch_size=run.batch_size,
    )
    data.codec = run.codec
    name = documents if isinstance(documents, str) else reader_names(documents)
    batches = data.sample(SAMPLE)
    if all((batch.targets == IGNORED).all() for batch in batches):
        raise ValueError(f"{name}: no document has a target to learn in the ids of this run")
    return OriginData(name, sum(batch.documents for batch in batches), batches)


def _run_settings(start: StartConfig) -> dict[str, Any]:
    """The settings of the data of the run that made a model; empty if it is not known, or not ours."""
    folder = Path(start.init_from).resolve().parent
    file = next((folder / place for place in PLACES if (folder / place).is_file()), None)
    if file is None or own_config(start.init_from) is None:
        return {}
    try:
        settings = yaml.safe_load(file.read_bytes())
        check_settings(settings, place=f"{file}: ")
        return dict(settings["data"])
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: not the settings of a run ({type(error).__name__})") from error


def _check_modalities(start: StartConfig, run: DocumentData) -> None:
    """Raises ValueError if the model has a modality that the run lacks."""
    known = [name for name, _ in (own_config(start.init_from) or {}).get("vocabulary", ())]
    if lacking := [name for name in known if name not in run.codec.vocabulary.modalities]:
        raise ValueError(f"its documents may hold {', '.join(lacking)}, which the data of this run lack")


def _validation_data(settings: Mapping[str, Any]) -> Documents:
    """The validation documents of a run, by the settings of its data."""
    if settings.get("val") is not None:
        return _open(settings["val"])
    if settings.get("path") is not None:
        return open_source(settings["path"], split="val", format=settings.get("format"))
    return SplitOf(open_source(settings["train"]), "val")


def _open(data: str | Mapping[str, Any]) -> Documents:
    """A source by its short form, or the folder of a store as it is."""
    if isinstance(data, str) and (Path(data) / INDEX).is_file():
        return data
    return open_source(data, split="val")
