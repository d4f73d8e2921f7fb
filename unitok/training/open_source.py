"""Opens a data source by its short form: a name, path, URL or class path. Knows no tokenizer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unitok.data.files.remote import is_url
from unitok.data.source import Source
from unitok.data.sources import open_data
from unitok.training.class_paths import find_class, split_class_path
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
    if source == "shapes":
        if split not in SHAPES_SEEDS:
            raise ValueError(f"the split of shapes must be one of {', '.join(SHAPES_SEEDS)}, got {split!r}")
        source_class, arguments = ShapesSource, {"first_seed": SHAPES_SEEDS[split], **arguments}
    elif _is_data(source):
        return _open_data_set(source, split, format, arguments)
    else:
        path, own = split_class_path(source, what="a source")
        source_class = find_class(path, Source, expected="neither 'shapes', an existing path, nor ")
        arguments = {**own, **arguments}
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


def reader_names(source: Source) -> str:
    """Names of the readers in a source, separated by commas."""
    inner = getattr(source, "sources", None) or [getattr(source, "source", None)]
    names = dict.fromkeys(reader_names(part) for part in inner if part is not None)
    return ", ".join(names) or type(source).__name__
