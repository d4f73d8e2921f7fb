"""Opens a data source by its short form: a name, path, URL or class path. Knows no tokenizer."""

import importlib
from collections.abc import Mapping
from inspect import isabstract
from pathlib import Path
from typing import Any

from unitok.data.files.remote import is_url
from unitok.data.source import Source
from unitok.data.sources import open_data
from unitok.renamed import refuse_renamed
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
    """A source by its short form.

    Args:
        source: "shapes"; or a data set of any format in docs/your-data.md, also as a URL, or a list of them;
            or a class path; or, as in the training configs, {"class_path": …, "init_args": {…}}, in which
            other sources may be, such as those of a mixture.
        split: train, val, test, or all of a data set.
        settings: arguments of the source.
        format: of a data set; if absent it is recognised.

    Raises:
        ValueError: the source is unknown, or refuses its arguments.
    """
    arguments = dict(settings or {})
    if format is not None and not _is_data(source):
        raise ValueError(f"format {format} is that of a data set's path, not of {source!s:.80}")
    if isinstance(source, Mapping):
        unknown = set(source) - {"class_path", "init_args"}
        if unknown or "class_path" not in source:
            raise ValueError(f"a source has class_path and init_args, not {', '.join(map(str, source))}")
        kind, arguments = _class(source["class_path"]), {**(source.get("init_args") or {}), **arguments}
    elif source == "shapes":
        if split not in SHAPES_SEEDS:
            raise ValueError(f"the splits of shapes are {', '.join(SHAPES_SEEDS)}, not {split!r}")
        kind, arguments = ShapesSource, {"first_seed": SHAPES_SEEDS[split], **arguments}
    elif _is_data(source):
        return _opened(source, split, format, arguments)
    else:
        kind = _class(source)
    try:
        return kind(**{name: _built(value) for name, value in arguments.items()})
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


def _is_data(source: str | list[str] | Mapping[str, Any]) -> bool:
    """Whether it is the path of a data set, or several."""
    if isinstance(source, Mapping) or source == "shapes":
        return False
    return isinstance(source, list) or is_url(source) or Path(source).exists()


def _built(value: Any) -> Any:
    """An argument of a source, in which other sources may be: those of a mixture."""
    if isinstance(value, list):
        return [_built(one) for one in value]
    return open_source(value) if isinstance(value, Mapping) and "class_path" in value else value


def _opened(path: str | list[str], split: str, format: str | None, settings: dict[str, Any]) -> Source:
    """The source of a data set; its reader may refuse the settings."""
    if split not in ("all", *SHAPES_SEEDS):
        raise ValueError(f"split is one of all, {', '.join(SHAPES_SEEDS)}, not {split!r}")
    try:
        return open_data(path, part=None if split == "all" else split, format=format, **settings)
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error


def _class(path: str) -> type[Source]:
    """The source class of a class path; of those in `unitok.data` the name is enough."""
    refuse_renamed({"class_path": path})
    module, _, name = path.rpartition(".")
    if not module and name in _known():
        return _known()[name]
    try:
        found = getattr(importlib.import_module(module), name) if module else None
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{path}: neither 'shapes', a path that exists, nor an importable class ({error})"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Source)):
        raise ValueError(f"{path}: neither 'shapes', a path that exists, nor the class path of a Source")
    return found


def _known(kind: type[Source] = Source) -> dict[str, type[Source]]:
    """Kinds of sources that are imported already, by name."""
    own = {} if isabstract(kind) else {kind.__name__: kind}
    return own | {name: one for below in kind.__subclasses__() for name, one in _known(below).items()}


def kind_of(source: Source) -> str:
    """Names of the readers in a source."""
    inner = getattr(source, "sources", None) or [getattr(source, "source", None)]
    names = dict.fromkeys(kind_of(one) for one in inner if one is not None)
    return ", ".join(names) or type(source).__name__
