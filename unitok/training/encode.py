"""Encodes a data set once, into a folder of codes for training. Knows no transformer."""

import importlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from unitok.data.codecs import build_codec, train_text_tokenizer
from unitok.data.shapes import TEST_SEED, TRAIN_SEED, VALIDATION_SEED, ShapesSource
from unitok.data.sources import Source, WebDataset
from unitok.data.store import TEXT_TOKENIZER, Summary, write_store
from unitok.device import pick_device

SHAPES_SEEDS = {"train": TRAIN_SEED, "val": VALIDATION_SEED, "test": TEST_SEED}


def encode(
    *,
    source: str | Mapping[str, Any],
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
) -> Summary:
    """Write the store `out` of a source, with the tokenizer.json that it was encoded with; prints one line.

    Args:
        source, split, settings: see `open_source`.
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
    """
    if threads:
        torch.set_num_threads(threads)
    start, opened, kept = time.monotonic(), open_source(source, split=split, settings=settings), Path(out)
    if text_tokenizer is None and not (kept / TEXT_TOKENIZER).is_file():
        train_text_tokenizer(opened, kept / TEXT_TOKENIZER, size=text_size)
    codec = build_codec(
        image_tokenizer,
        text_tokenizer or kept / TEXT_TOKENIZER,
        image_shape=image_shape,
        locations=locations,
    )
    codec.modalities["image"].tokenizer.to(pick_device(device))
    summary = write_store(out, opened, codec, batch_size=batch_size, shard_size=shard_size, progress=progress)
    if text_tokenizer is not None:
        codec.modalities["text"].save(kept / TEXT_TOKENIZER)
    sizes = ", ".join(f"{size} of {name}" for name, size in codec.vocabulary.sizes.items())
    print(
        f"{out}: {summary.documents} documents in {time.monotonic() - start:.0f} s, "
        f"{summary.dropped} dropped, {summary.kept} files kept from before; codes: {sizes}"
    )
    return summary


def open_source(
    source: str | Mapping[str, Any], *, split: str = "train", settings: Mapping[str, Any] | None = None
) -> Source:
    """A source by its short form.

    Args:
        source: "shapes"; or a folder of WebDataset shards; or a class path; or, as in the training configs,
            {"class_path": …, "init_args": {…}}.
        split: train, val or test of shapes; the beginning of the shards' names of a folder.
        settings: arguments of the source.

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
    elif Path(source).is_dir():
        kind, arguments = WebDataset, {"path": str(source), "split": split, **arguments}
    else:
        kind = _class(source)
    try:
        return kind(**arguments)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


def _class(path: str) -> type[Source]:
    """The source class of a class path."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name) if module else None
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{path}: neither 'shapes', a folder, nor an importable class ({error})") from error
    if not (isinstance(found, type) and issubclass(found, Source)):
        raise ValueError(f"{path}: neither 'shapes', a folder that exists, nor the class path of a Source")
    return found
