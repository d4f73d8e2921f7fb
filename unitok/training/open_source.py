"""Opens a data source by its short form: a name, path, URL or class path. Knows no tokenizer."""

import importlib
from collections.abc import Mapping
from inspect import isabstract
from pathlib import Path
from typing import Any

from unitok.data.files.remote import is_url
from unitok.data.source import Source
from unitok.data.sources import open_data
from unitok.renamed import check_class_path
from unitok.worlds.seeded import TEST_SEED, TRAIN_SEED, VALIDATION_SEED
from unitok.worlds.shapes.scenes import ShapesSource

SHAPES_SEEDS = {"train": TRAIN_SEED, "val": VALIDATION_SEED, "test": TEST_SEED}


def open_source(
    source: str | list[str] | Mapping[str, Any],
    *,
    split: str = "train",
    settings: Mapping[str, Any] | None = None,
    format: str | None = None,
) -> Source:
    """Opens a source by its short form.

    Args:
        source: "shapes"; a data set of any format in docs/your-data.md, as a path, a URL or a list of them;
            a class path; or, as in the training configs, {"class_path": …, "init_args": {…}}, whose arguments
            may contain further sources, as a mixture's do.
        split: train, val, test, or all of a data set.
        settings: arguments of the source.
        format: of a data set; if absent it is detected.

    Raises:
        ValueError: the source is unknown, or does not accept its arguments.
    """
    arguments = dict(settings or {})
    if format is not None and not _is_data(source):
        raise ValueError(f"format={format} is only for the path of a data set, got {source!s:.80}")
    if isinstance(source, Mapping):
        unknown = set(source) - {"class_path", "init_args"}
        if unknown or "class_path" not in source:
            keys = ", ".join(map(str, source))
            raise ValueError(f"a source must have class_path and may have init_args, got {keys}")
        source_class = _source_class(source["class_path"])
        arguments = {**(source.get("init_args") or {}), **arguments}
    elif source == "shapes":
        if split not in SHAPES_SEEDS:
            raise ValueError(f"the split of shapes must be one of {', '.join(SHAPES_SEEDS)}, got {split!r}")
        source_class, arguments = ShapesSource, {"first_seed": SHAPES_SEEDS[split], **arguments}
    elif _is_data(source):
        return _open_data_set(source, split, format, arguments)
    else:
        source_class = _source_class(source)
    try:
        return source_class(**{name: _build_argument(value) for name, value in arguments.items()})
    except TypeError as error:
        raise ValueError(f"{source_class.__name__}: {error}") from error


def _is_data(source: str | list[str] | Mapping[str, Any]) -> bool:
    """Whether a short form is the path of a data set, or several paths."""
    if isinstance(source, Mapping) or source == "shapes":
        return False
    return isinstance(source, list) or is_url(source) or Path(source).exists()


def _build_argument(value: Any) -> Any:
    """Builds an argument of a source, opening the sources in it, such as those of a mixture."""
    if isinstance(value, list):
        return [_build_argument(item) for item in value]
    return open_source(value) if isinstance(value, Mapping) and "class_path" in value else value


def _open_data_set(path: str | list[str], split: str, format: str | None, settings: dict[str, Any]) -> Source:
    """Opens a data set. Raises ValueError if its reader does not accept the settings."""
    if split not in ("all", *SHAPES_SEEDS):
        raise ValueError(f"split must be one of all, {', '.join(SHAPES_SEEDS)}, got {split!r}")
    try:
        return open_data(path, split=None if split == "all" else split, format=format, **settings)
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error


def _source_class(path: str) -> type[Source]:
    """The source class at a class path; an imported class may be given by its name alone."""
    check_class_path(path)
    module, _, name = path.rpartition(".")
    if not module and name in _imported_sources():
        return _imported_sources()[name]
    try:
        source_class = getattr(importlib.import_module(module), name) if module else None
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{path}: neither 'shapes', an existing path, nor an importable class ({error})"
        ) from error
    if not (isinstance(source_class, type) and issubclass(source_class, Source)):
        raise ValueError(f"{path}: neither 'shapes', an existing path, nor the class path of a Source")
    return source_class


def _imported_sources(base: type[Source] = Source) -> dict[str, type[Source]]:
    """Source classes that are already imported, by name."""
    classes = {} if isabstract(base) else {base.__name__: base}
    for subclass in base.__subclasses__():
        classes |= _imported_sources(subclass)
    return classes


def reader_names(source: Source) -> str:
    """Names of the readers in a source, separated by commas."""
    inner = getattr(source, "sources", None) or [getattr(source, "source", None)]
    names = dict.fromkeys(reader_names(part) for part in inner if part is not None)
    return ", ".join(names) or type(source).__name__
