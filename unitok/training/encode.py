"""Encodes a data set once into a store of codes. Knows no transformer."""

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from unitok.chat_template import ChatTemplate
from unitok.data.codes.build_codec import build_codec, train_text_tokenizer
from unitok.data.codes.source_changes import stamp_of
from unitok.data.codes.store import TEXT_TOKENIZER
from unitok.data.codes.store_writer import Summary, refuse_foreign, write_store
from unitok.data.dataset_report import SHEET, check_source, in_words
from unitok.data.faults import REPORT
from unitok.data.mixture import more_than_documents
from unitok.data.source import Source
from unitok.data.transforms.resize import Buckets, Resized
from unitok.device import pick_device
from unitok.modalities.text import TextModality
from unitok.tokens.codec import Codec
from unitok.training.open_source import kind_of, open_source


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
        out: the store's folder. What is there is kept as far as its documents are what they were.
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
        FileExistsError: `out` holds something else than a store.
        ValueError: both a shape and a number of cells are given; a mixture has tasks; and what `open_source`
            raises.
    """
    if image_cells is not None and image_shape is not None:
        raise ValueError("image_shape and image_cells exclude each other")
    refuse_foreign(out)
    if threads:
        torch.set_num_threads(threads)
    start, kept = time.monotonic(), Path(out) / TEXT_TOKENIZER
    template = _template(chat or {})
    opened = _documents(source, split=split, settings=settings, format=format).told_by(template)
    if text_tokenizer is None and not kept.is_file():
        train_text_tokenizer(opened, kept, size=text_size)
    codec = build_codec(image_tokenizer, text_tokenizer or kept, image_shape=image_shape, locations=locations)
    _keep_text_tokenizer(codec.modalities["text"], kept)
    tokenizer = codec.modalities["image"].tokenizer.to(pick_device(device))
    if image_cells is not None:
        opened = Resized(opened, Buckets(cells=image_cells, cell=tokenizer.cell))
    writing = {"batch_size": batch_size, "shard_size": shard_size, "progress": progress, "chat": template}
    described = {"source": source, "split": split, "settings": settings, "format": format}
    stamp = stamp_of(described | {"image_cells": image_cells})
    summary = write_store(out, opened, codec, most_faults=most_faults, stamp=stamp, **writing)
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


def _keep_text_tokenizer(text: TextModality, kept: Path) -> None:
    """Put the tokenizer.json into the store before its codes, which mean nothing without.

    Raises ValueError where codes of another one are there.
    """
    if not kept.is_file():
        text.save(kept)
    elif TextModality.from_file(kept).fingerprint() != text.fingerprint():
        raise ValueError(
            f"{kept} is another text tokenizer than the given one: remove {kept.parent} or choose another"
        )


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
    with _quiet(logging.getLogger("unitok.data.faults")):  # faults are listed below, not one by one
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
