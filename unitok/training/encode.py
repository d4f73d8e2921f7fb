"""Encodes a data set once, into a folder of codes for training. Knows no transformer."""

import importlib
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import isabstract
from pathlib import Path
from typing import Any

import torch

from unitok.chat_template import ChatTemplate
from unitok.codec import Codec
from unitok.data.check import SHEET, check_source, in_words
from unitok.data.codecs import build_codec, train_text_tokenizer
from unitok.data.faults import REPORT
from unitok.data.mixed import more_than_documents
from unitok.data.remote import is_url
from unitok.data.resize import Buckets, Resized
from unitok.data.seeds import TEST_SEED, TRAIN_SEED, VALIDATION_SEED
from unitok.data.shapes import ShapesSource
from unitok.data.sources import Source, open_data
from unitok.data.store import TEXT_TOKENIZER
from unitok.data.store_writing import Summary, write_store
from unitok.device import pick_device

SHAPES_SEEDS = {"train": TRAIN_SEED, "val": VALIDATION_SEED, "test": TEST_SEED}


def encode(
    *,
    source: str | list[str] | Mapping[str, Any],
    image_tokenizer: str | Path,
    out: str | Path,
    text_tokenizer: str | Path | None = None,
    text_size: int = 1024,
    image_shape: Sequence[int] | None = None,
    locations: Sequence[str] = (),
    split: str = "train",
    settings: Mapping[str, Any] | None = None,
    batch_size: int = 64,
    shard_size: int = 16_384,
    device: str = "auto",
    threads: int = 0,
    progress: bool = True,
    format: str | None = None,
    most_faults: float = 0.1,
    image_cells: int | None = None,
    chat: Mapping[str, Any] | None = None,
) -> Summary:
    """Write the store `out` of a source, with the tokenizer.json that it was encoded with; prints one line.

    Args:
        source, split, settings, format: see `open_source`.
        image_tokenizer: folder of a trained image tokenizer.
        out: the store's folder. What a stopped run left there is kept.
        text_tokenizer: a tokenizer.json; if absent that of `out`, or one is trained on the source's texts.
        text_size: codes of a text tokenizer that is trained here, at most.
        image_shape: (rows, columns) in cells that images are brought to; if absent each keeps its size.
        locations: "box", "point" or both, where the documents hold such.
        batch_size: documents encoded at once.
        shard_size: documents a file.
        device: of the image tokenizer; "auto" takes a GPU where there is one.
        threads: of the CPU; 0 takes all cores.
        progress: show a bar.
        most_faults: share of faulty documents, after the first 1,000, that stops the run.
        image_cells: in place of `image_shape`: each image gets the shape of at most so many cells that is
            nearest to its own.
        chat: how conversations become documents: arguments of a ChatTemplate. The store keeps it.

    Raises:
        ValueError: both a shape and a number of cells are given; a mixture has tasks; and what `open_source`
            raises.
    """
    if image_cells is not None and image_shape is not None:
        raise ValueError("image_shape and image_cells exclude each other")
    if threads:
        torch.set_num_threads(threads)
    start, kept = time.monotonic(), Path(out) / TEXT_TOKENIZER
    template = _template(chat or {})
    opened = _documents(source, split=split, settings=settings, format=format).told_by(template)
    if text_tokenizer is None and not kept.is_file():
        train_text_tokenizer(opened, kept, size=text_size)
    codec = build_codec(image_tokenizer, text_tokenizer or kept, image_shape=image_shape, locations=locations)
    tokenizer = codec.modalities["image"].tokenizer.to(pick_device(device))
    if image_cells is not None:
        opened = Resized(opened, Buckets(cells=image_cells, cell=tokenizer.cell))
    writing = {"batch_size": batch_size, "shard_size": shard_size, "progress": progress, "chat": template}
    summary = write_store(out, opened, codec, most_faults=most_faults, **writing)
    if text_tokenizer is not None:
        codec.modalities["text"].save(kept)
    print(f"{out}: {_in_words(summary, codec, seconds=time.monotonic() - start)}")
    return summary


def _documents(source: str | list[str] | Mapping[str, Any], **options) -> Source:
    """A source that a store can hold. Raises ValueError where it says more than documents do."""
    opened = open_source(source, **options)
    if more_than_documents(opened) is not None:
        raise ValueError(
            "a store has no tasks: encode each source by itself, and mix their stores in training"
        )
    return opened


def _in_words(summary: Summary, codec: Codec, *, seconds: float) -> str:
    sizes = ", ".join(f"{size} of {name}" for name, size in codec.vocabulary.sizes.items())
    return (
        f"{summary.documents} documents in {seconds:.0f} s, {summary.dropped} dropped, "
        f"{summary.kept} files kept from before; codes: {sizes}"
    )


def _template(chat: Mapping[str, Any]) -> ChatTemplate:
    try:
        return ChatTemplate(**chat)
    except TypeError as error:
        raise ValueError(f"chat: {error}") from error


def check(
    path: str,
    *,
    out: str | Path,
    split: str = "all",
    format: str | None = None,
    settings: Mapping[str, Any] | None = None,
    pictures: int = 64,
    workers: int = 0,
) -> dict[str, Any]:
    """Read a data set once; print and write what is in it and what is wrong, and return that.

    Args:
        path, split, format, settings: see `open_source`.
        out, pictures, workers: see `check_source`.
    """
    with _quiet(logging.getLogger("unitok.data")):  # faults are listed below, not one by one
        source = open_source(path, split=split, format=format, settings=settings)
        report = check_source(
            source, out=out, pictures=pictures, workers=workers, progress=sys.stderr.isatty()
        )
    print(f"{path}: {kind_of(source)}, {len(source)} documents", *in_words(report), sep="\n")
    written = [name for name in (REPORT, SHEET) if (Path(out) / name).exists()]
    print(f"{out}: {', '.join(written)}")
    return report


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Only errors are logged meanwhile."""
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def kind_of(source: Source) -> str:
    """Names of the readers in a source."""
    inner = getattr(source, "sources", None) or [getattr(source, "source", None)]
    names = dict.fromkeys(kind_of(one) for one in inner if one is not None)
    return ", ".join(names) or type(source).__name__


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
    if isinstance(source, Mapping):
        unknown = set(source) - {"class_path", "init_args"}
        if unknown or "class_path" not in source:
            raise ValueError(f"a source has class_path and init_args, not {', '.join(map(str, source))}")
        kind, arguments = _class(source["class_path"]), {**(source.get("init_args") or {}), **arguments}
    elif source == "shapes":
        if split not in SHAPES_SEEDS:
            raise ValueError(f"the splits of shapes are {', '.join(SHAPES_SEEDS)}, not {split!r}")
        kind, arguments = ShapesSource, {"first_seed": SHAPES_SEEDS[split], **arguments}
    elif isinstance(source, list) or is_url(source) or Path(source).exists():
        return _opened(source, split, format, arguments)
    else:
        kind = _class(source)
    try:
        return kind(**{name: _built(value) for name, value in arguments.items()})
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


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
